// Two answers side by side, and a vote. Texts enter the page by textContent alone; requests go to the page's own routes.
const $ = id => document.getElementById(id);
const SIDES = [0, 1];
const VERDICTS = [...document.querySelectorAll('[data-verdict]')];
let key = null, note = '', writing = false, longest = 2000, consented = false, declined = false, turn = 0;

const say = text => { $('live').textContent = ''; requestAnimationFrame(() => { $('live').textContent = text; }); };
const trouble = text => { $('problem').textContent = text; $('problem').hidden = !text; $('problem').className = ''; };
const wait = milliseconds => new Promise(done => setTimeout(done, milliseconds));
const post = (name, body) => fetch(name, {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
});

class Refused extends Error {}
async function checked(answer) {
  if (answer.ok) return answer;
  throw new Refused((await answer.json().catch(() => ({}))).error || 'The lab does not answer; try again in a moment.');
}

async function open() {
  const state = await (await checked(await fetch('state', { cache: 'no-store' }))).json();
  document.title = state.title;
  $('title').textContent = state.title;
  $('intro').textContent = state.intro;
  $('intro').hidden = !state.intro;
  $('subtitle').textContent = state.subtitle;
  $('subtitle').hidden = !state.subtitle;
  $('contact').textContent = state.contact ? `Questions: ${state.contact}` : '';
  if (state.closed) { trouble('This demo is closed.'); $('problem').className = 'calm'; return; }
  ({ longest, consented } = state);
  $('prompt').maxLength = longest;
  $('examples').replaceChildren(...state.prompts.map(example));
  $('examples').hidden = !state.prompts.length;
  $('ask').hidden = $('about').hidden = false;
  count();
}

function example(text) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = text;
  button.title = text;
  button.addEventListener('click', () => { $('prompt').value = text; count(); ask(); });
  return button;
}

function count() {
  const length = $('prompt').value.length;
  $('count').textContent = length > longest * .7 ? `${length.toLocaleString('en')} of ${longest.toLocaleString('en')} characters` : '';
}

function busy(on) {
  writing = on;
  $('send').hidden = on;
  $('stop').hidden = !on;
  for (const button of $('examples').children) button.disabled = on;
  for (const side of SIDES) $(`text-${side}`).toggleAttribute('data-writing', on);
}

function show(side, text) {
  $('loading').hidden = true;
  const place = $(`text-${side}`);
  const whole = place.textContent + text;
  place.textContent = place.textContent ? whole : whole.trimStart();
}

// What a visitor waits for: after two seconds without a word the page says whether models are still being loaded.
const PATIENCE = 2000;
async function watchLoading(mine) {
  await wait(PATIENCE);
  while (writing && turn === mine && !$('text-0').textContent && !$('text-1').textContent) {
    const { ready, models } = await fetch('loading', { cache: 'no-store' }).then(checked).then(one => one.json()).catch(() => ({}));
    if (!writing || turn !== mine) break;
    $('loading-text').textContent = ready < models ? `Loading the models: ${ready} of ${models} ready…` : 'The models are thinking…';
    $('loading-bar').max = models || 1;
    if (ready < models) $('loading-bar').value = ready; else $('loading-bar').removeAttribute('value');
    $('loading').hidden = false;
    await wait(1000);
  }
  if (turn === mine) $('loading').hidden = true;
}

async function ask() {
  if (writing) return;
  const prompt = $('prompt').value;
  if (!prompt.trim()) { trouble('Write a prompt first, or choose an example.'); $('prompt').focus(); return; }
  trouble('');
  busy(true);
  turn += 1;
  key = null;
  note = '';
  judge();
  $('asked').textContent = prompt;
  for (const side of SIDES) {
    $(`text-${side}`).textContent = '';
    $(`text-${side}`).classList.remove('empty');
    $(`text-${side}`).closest('article').classList.remove('chosen');
  }
  $('answers').hidden = false;
  reveal($('answers'), 'start');
  say('Both models are answering.');
  watchLoading(turn);
  try {
    let ended = false;
    for await (const item of lines((await checked(await post('answer', { prompt }))).body)) {
      if (item.text) show(item.side, item.text);
      else if ('side' in item) close(item.side);
      else { ended = true; ({ key, note } = item); }
    }
    if (!ended) throw new TypeError();
  } catch (problem) {
    trouble(problem instanceof Refused ? problem.message : 'The answers broke off; try again.');
    if (!$('text-0').textContent && !$('text-1').textContent) $('answers').hidden = true;
  }
  busy(false);
  judge();
  if (key) say('Both answers are there. Which one is better?');
}

function close(side) {
  const place = $(`text-${side}`);
  place.removeAttribute('data-writing');
  if (place.textContent.trim()) return;
  place.textContent = 'This model had nothing to say.';
  place.classList.add('empty');
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n');
    rest = parts.pop();
    for (const part of parts) if (part) yield JSON.parse(part);
  }
}

// What stands below the answers: one of the question, the votes, a word after a "no", a note, thanks, or nothing.
function judge(thanked = false) {
  const told = thanked ? 'thanks' : key ? (consented ? 'votes' : declined ? 'declined' : 'consent') : note ? 'note' : '';
  for (const name of ['consent', 'votes', 'declined', 'note', 'thanks']) $(name).hidden = name !== told;
  if (!thanked) { $('board').hidden = true; for (const side of SIDES) $(`head-${side}`).textContent = `Answer ${'AB'[side]}`; }
  $('judge').hidden = !told;
  $('note').textContent = note;
  for (const button of VERDICTS) button.disabled = false;
}

function reveal(place, block = 'nearest') {
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  if (matchMedia('(max-width: 700px)').matches || block === 'nearest') place.scrollIntoView({ block, behavior: still ? 'auto' : 'smooth' });
}

// Sent until it is taken: a vote is kept once, however often it arrives.
async function insist(name, body, still) {
  for (let attempt = 0; still(); attempt += 1) {
    try {
      const answer = await post(name, body);
      if (answer.status < 500) { await checked(answer); trouble(''); return answer.json(); }
    } catch (problem) {
      if (problem instanceof Refused) { trouble(problem.message); return false; }
    }
    if (still()) trouble('Not saved yet; trying again.');
    await wait(Math.min(8000, 500 * 2 ** attempt));
  }
  return false;
}

async function agree() {
  const mine = turn;
  $('agree').disabled = true;
  consented = Boolean(await insist('consent', { agreed: true }, () => turn === mine)) || consented;
  $('agree').disabled = false;
  if (!consented || turn !== mine) return;
  judge();
  reveal($('judge'));
  VERDICTS[0].focus({ preventScroll: true });
}

async function vote(verdict) {
  const mine = turn;
  for (const button of VERDICTS) button.disabled = true;
  const saved = await insist('vote', { key, verdict }, () => turn === mine);
  if (turn !== mine) return;
  if (!saved) { judge(); return; }
  const place = { a: 0, b: 1 }[verdict];
  if (place !== undefined) $(`text-${place}`).closest('article').classList.add('chosen');
  judge(true);
  fillThanks(saved);
  $('next').focus({ preventScroll: true });
  say($('thanks-text').textContent);
}

// Names of the two models and how all of them did, where whoever made the demo wants that.
function fillThanks({ names, board }) {
  $('thanks-text').textContent = `Thank you. Your vote is counted.${names ? ` A was ${names[0]}, B was ${names[1]}.` : ''}`;
  for (const side of SIDES) $(`head-${side}`).textContent = `Answer ${'AB'[side]}${names ? ` · ${names[side]}` : ''}`;
  $('board').hidden = !board;
  $('board-rows').replaceChildren(...(board ?? []).map(({ model, share, votes }) => {
    const row = document.createElement('tr');
    const cells = [model, votes ? `${Math.round(100 * share)} %` : '–', votes.toLocaleString('en')];
    row.append(...cells.map(text => { const cell = document.createElement('td'); cell.textContent = text; return cell; }));
    return row;
  }));
}

$('ask').addEventListener('submit', event => { event.preventDefault(); ask(); });
$('prompt').addEventListener('input', count);
$('prompt').addEventListener('keydown', event => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); ask(); }
});
$('stop').addEventListener('click', () => { post('stop', {}).catch(() => {}); });
$('agree').addEventListener('click', agree);
$('rethink').addEventListener('click', () => { declined = false; agree(); });
$('decline').addEventListener('click', () => { declined = true; judge(); $('prompt').focus({ preventScroll: true }); });
$('next').addEventListener('click', () => { $('prompt').value = ''; count(); scrollTo({ top: 0 }); $('prompt').focus(); });
for (const button of VERDICTS) button.addEventListener('click', () => vote(button.dataset.verdict));
open().catch(problem => trouble(problem instanceof Refused ? problem.message : 'The page could not be loaded; try again in a moment.'));
