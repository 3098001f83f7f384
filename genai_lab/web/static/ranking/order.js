// A ranking under way: as many places as candidates, each place holding none, one or several (tied) candidates.
// Candidates are indices in shown order. When all are placed there are no gaps left between places.
export const none = count => Array.from({ length: count }, () => []);
export const placeOf = (places, one) => places.findIndex(place => place.includes(one));
export const complete = places => places.flat().length === places.length;
export const groups = places => places.filter(place => place.length).map(place => [...place].sort((a, b) => a - b));
export function fromGroups(given, count) {
  const places = none(count);
  given.forEach((group, n) => { places[n] = [...group]; });
  return places;
}

const without = (places, one) => places.map(place => place.filter(other => other !== one));
function settle(places) {
  if (!complete(places)) return places;
  return fromGroups(groups(places), places.length);
}
const gapBelow = (places, from) => places.findIndex((place, n) => n > from && !place.length);
const gapAbove = (places, from) => places.findLastIndex((place, n) => n < from && !place.length);
const moveGap = (places, gap, to, one) => { places.splice(gap, 1); places.splice(to, 0, [one]); return settle(places); };

// Alone just before or after the candidates at a place; the others make room towards the nearest gap.
export function before(places, one, at) {
  const rest = without(places, one);
  if (!rest[at].length) { rest[at] = [one]; return settle(rest); }
  const gap = gapBelow(rest, at);
  return gap >= 0 ? moveGap(rest, gap, at, one) : moveGap(rest, gapAbove(rest, at), at - 1, one);
}
export function after(places, one, at) {
  const rest = without(places, one);
  if (!rest[at].length) { rest[at] = [one]; return settle(rest); }
  const gap = gapBelow(rest, at);
  return gap >= 0 ? moveGap(rest, gap, at + 1, one) : moveGap(rest, gapAbove(rest, at), at, one);
}
export function place(places, one, at) {
  const rest = without(places, one);
  return gapBelow(rest, at) >= 0 || !rest[at].length ? before(rest, one, at) : after(rest, one, at);
}
export function tie(places, one, at) {
  if (places[at].includes(one)) return places;
  const rest = without(places, one);
  rest[at].push(one);
  return settle(rest);
}
export function tieAbove(places, one) {
  const at = placeOf(places, one);
  const above = places.findLastIndex((group, n) => group.length && (at < 0 || n < at));
  return above < 0 ? null : tie(places, one, above);
}
export const remove = without;

// One step towards better (-1) or worse (+1); out of a tie first; from nowhere into the best empty place.
export function step(places, one, way) {
  const at = placeOf(places, one);
  if (at < 0) return place(places, one, places.findIndex(group => !group.length));
  if (places[at].length > 1) return way < 0 ? before(places, one, at) : after(places, one, at);
  const to = at + way;
  if (to < 0 || to >= places.length) return places;
  const moved = [...places];
  [moved[at], moved[to]] = [moved[to], moved[at]];
  return settle(moved);
}
