// The page on which an annotator ranks candidates: one card after the other, each answer kept until it is saved.
import * as api from './api.js';
import { Card } from './card.js';
import { $, counted, duration, node, say } from './dom.js';
import { Outbox } from './outbox.js';
import * as panels from './panels.js';
import { Store } from './store.js';
import { Tabs } from './tabs.js';

const AHEAD = 3;
const CHECK = 15_000;
const PREFIX = `rank:${location.pathname}:`;

const app = {
  campaign: { title: '', criterion: '', guidelines: '', kind: 'ranking', ties: true, both_bad: false },
  annotator: { name: '' }, status: 'open', done: 0, left: null, pace: null, opened: false, link: true,
  now: null,        // {card, revision, earlier}: what is on the screen; earlier is set when an answer is being changed
  ahead: [],        // cards fetched in advance
  past: [],         // answers in the order in which they were given
  answered: new Set(), seen: [], sent: false, fetching: false, checking: 0,
};
const store = new Store(PREFIX, (kind, sentence) => notice(`storage-${kind}`, sentence));
const held = () => [...(app.now && !app.now.earlier ? [app.now.card.key] : []), ...app.ahead.map(card => card.key)];
const tabs = new Tabs(PREFIX, held);
const have = () => [...new Set([...held(), ...tabs.keys(), ...outbox.all().map(entry => entry.key)])];
const wants = () => ({ have: have(), want: Math.max(0, AHEAD + (app.now ? 0 : 1) - app.ahead.length) });
const outbox = new Outbox(store, wants, { saved, stuck: drawStuck, invalid: endLink, status: standing, changed: drawFigures });
const card = new Card(() => app.campaign, keepDraft);

// The clock of a card runs while the page is in sight.
const clock = { spent: 0, since: null };
const runClock = () => { clock.since = document.hidden ? null : performance.now(); };
const seconds = () => clock.spent + (clock.since === null ? 0 : (performance.now() - clock.since) / 1000);
document.addEventListener('visibilitychange', () => { clock.spent = seconds(); runClock(); });

function notice(id, sentence, ...actions) {
  $(`#notices [data-id="${id}"]`)?.remove();
  if (!sentence) return;
  const close = actions.length ? null : node('button', { type: 'button', class: 'link', text: 'Dismiss', on: { click: () => notice(id) } });
  $('#notices').append(node('div', { class: 'notice', 'data-id': id }, node('p', { text: sentence }), ...actions, close));
  say(sentence);
}

// Server
function standing(status) {
  if (!status || status === app.status) return;
  app.status = status;
  show();
  if (status === 'open') outbox.flush();
}
function taken(data) {
  if (typeof data.done === 'number') app.done = data.done;
  if (data.left !== undefined) app.left = data.left;
  const known = new Set(have());
  for (const one of data.cards ?? []) if (!known.has(one.key) && !app.answered.has(one.key)) { known.add(one.key); app.ahead.push(one); }
  standing(data.status);
}
function saved(data) {
  taken(data);
  tabs.tell();
  if (!app.now) resume();
  drawFigures();
}
const resume = () => app.ahead.length ? advance() : show();

async function fetchAhead() {
  const { want } = wants();
  if (app.fetching || !want || !app.link || app.status !== 'open' || !app.opened) return;
  app.fetching = true;
  const reply = await api.post('next', wants());
  app.fetching = false;
  app.reached = api.worked(reply);
  if (app.reached) { taken(reply.data); tabs.tell(); } else if (api.invalid(reply)) return endLink();
  if (!app.now) resume();
  drawFigures();
}

async function open() {
  const reply = await api.get('state');
  if (api.invalid(reply) || reply.code === 404) return endLink();
  if (!api.worked(reply)) {
    state('The server does not answer', 'This page tries again by itself. What you have answered is kept in this browser until it is saved.');
    return setTimeout(open, Math.min(3000, 500 * 2 ** Math.min(4, app.tries = (app.tries ?? -1) + 1)));
  }
  const { campaign, annotator, status, done, left, pace } = reply.data;
  Object.assign(app, { campaign, annotator, status, done, left, pace: pace?.seconds_per_item ?? null, opened: true });
  document.title = campaign.title;
  $('#title').textContent = campaign.title;
  $('#criterion').textContent = campaign.criterion;
  $('#criterion').title = campaign.criterion;
  panels.fillGuidelines(campaign.guidelines);
  drawFigures();
  drawStuck();
  await Promise.all([outbox.flush(), tabs.ask()]);
  await fetchAhead();
  show();
  if (campaign.guidelines && status === 'open' && !done && !store.get('read')) { store.set('read', true); panels.openGuidelines(); }
}

// Looks again from time to time while there is nothing to do or no room to do it.
async function check() {
  clearTimeout(app.checking);
  if (!app.opened || !app.link) return;
  const reply = await api.get('state');
  if (api.worked(reply)) { Object.assign(app, { done: reply.data.done, left: reply.data.left }); standing(reply.data.status); }
  tabs.others.clear();
  await tabs.ask();
  await fetchAhead();
  show();
}

// Cards
function begin(next) {
  app.now = next;
  const { key } = next.card;
  const draft = store.get(`draft:${key}:${next.revision}`, kept => Array.isArray(kept?.groups));
  const judged = draft ?? next.earlier ?? null;
  const count = next.card.candidates.length, parts = judged?.places ?? judged?.groups ?? [], flat = parts.flat();
  const sound = parts.length <= count && new Set(flat).size === flat.length && flat.every(one => Number.isInteger(one) && one >= 0 && one < count);
  clock.spent = draft?.seconds ?? 0;
  runClock();
  app.flag = judged?.flag ?? false;
  $('#comment').value = judged?.comment ?? '';
  toggleComment(!!$('#comment').value);
  drawFlag();
  show();
  card.show(next.card, sound ? judged : null);
  $('#editing').hidden = !next.earlier;
  $('#editing').textContent = next.earlier ? `Changing an earlier answer${next.earlier.skip ? ` (skipped: ${next.earlier.skip})` : ''} · Esc leaves it as it was` : '';
  $('#flag kbd').textContent = card.pair || card.count < 6 ? 'F' : '⇧F';
  $('#comment-button kbd').textContent = card.pair || card.count < 3 ? 'C' : '⇧C';
  scrollTo(0, 0);
  $('#main').scrollTop = 0;
  if (!panels.anyModal()) $('#prompt-head').focus({ preventScroll: true });
}
function advance() {
  const next = app.ahead.shift();
  if (next) begin({ card: next, revision: next.revision ?? 0, earlier: null });
  else { app.now = null; fetchAhead(); show(); }
  tabs.tell();
}
function keepDraft() {
  if (!app.now) return;
  $('#hint').textContent = '';
  const kept = { groups: card.answer.groups, places: card.places, both_bad: card.bad, flag: app.flag, comment: $('#comment').value, seconds: seconds() };
  store.set(`draft:${app.now.card.key}:${app.now.revision}`, kept);
}

function submit(skip = null) {
  if (!app.now || app.status !== 'open' || !app.link) return;
  if (!skip && !card.ready) {
    const sentence = card.pair ? 'Choose first: 1 or 2.' : 'Give every candidate a place first: press its letters from best to worst.';
    $('#hint').textContent = sentence;
    return say(sentence);
  }
  const from = performance.now();
  const { card: one, revision, earlier } = app.now;
  const judged = skip ? { groups: [], both_bad: false } : card.answer;
  const answer = { ...judged, flag: app.flag, comment: $('#comment').value.trim(), skip, seconds: Math.round(seconds() * 10) / 10 };
  const same = earlier && ['groups', 'both_bad', 'flag', 'comment', 'skip'].every(part => JSON.stringify(answer[part]) === JSON.stringify(earlier[part]));
  store.remove(`draft:${one.key}:${revision}`);
  app.now = null;
  if (!same) {
    app.answered.add(one.key);
    if (!earlier) app.seen.push(answer.seconds);
    remember({ key: one.key, revision, prompt: one.prompt, candidates: one.candidates, at: Date.now(), ...answer });
    outbox.put(one.key, revision, answer, one);
  }
  advance();
  say(same ? 'Unchanged.' : app.now ? `${skip ? 'Skipped' : 'Answered'}. Next prompt: ${app.now.card.prompt.slice(0, 120)}` : 'Answered.');
  requestAnimationFrame(() => setTimeout(() => performance.measure('next-card', { start: from, end: performance.now() })));
  if (app.ahead.length < AHEAD - 1) fetchAhead();
}

// Undo and change
function remember(answer) {
  app.past = [...app.past.filter(one => one.key !== answer.key), answer];
}
async function earlierAnswers() {
  const reply = await api.get('answers?count=50');
  if (api.invalid(reply)) endLink();
  if (!api.worked(reply)) return app.past.length ? [...app.past].reverse() : null;
  const mine = new Map(app.past.map(one => [one.key, one]));
  const newer = one => (mine.get(one.key)?.revision ?? -1) > one.revision ? mine.get(one.key) : one;
  const known = new Set(reply.data.answers.map(one => one.key));
  const waiting = outbox.waiting().filter(({ key, card: kept }) => kept && !known.has(key) && !mine.has(key))
    .map(({ key, revision, answer, card: kept, at }) => ({ key, revision, at, prompt: kept.prompt, candidates: kept.candidates, ...answer }));
  return [...waiting, ...[...mine.values()].filter(one => !known.has(one.key)).reverse(), ...reply.data.answers.map(newer)];
}
function change(answer) {
  if (app.now) {
    keepDraft();
    if (!app.now.earlier) app.ahead.unshift({ ...app.now.card, revision: app.now.revision });
  }
  const { key, revision, prompt, candidates } = answer;
  begin({ card: { key, prompt, candidates }, revision: revision + 1, earlier: answer });
  say(`Changing your earlier answer. ${panels.judgement(answer)}`);
}
async function undo() {
  if (!app.link || app.status !== 'open' || app.undoing) return;
  app.undoing = true;
  const here = app.now?.earlier && app.past.findIndex(one => one.key === app.now.card.key);
  if (!app.past.length || here === 0) {
    const all = await earlierAnswers();
    if (all) app.past = all.reverse();
  }
  app.undoing = false;
  const at = app.now?.earlier ? app.past.findIndex(one => one.key === app.now.card.key) : app.past.length;
  if (at > 0) return change(app.past[at - 1]);
  $('#hint').textContent = at === 0 && app.past.length ? 'No earlier answer.' : 'Nothing answered yet.';
  say($('#hint').textContent);
}
function leave() {
  if (!app.now?.earlier) return false;
  store.remove(`draft:${app.now.card.key}:${app.now.revision}`);
  advance();
  say('Left as it was.');
  return true;
}
async function openAnswers() {
  $('#answers-list').replaceChildren(node('p', { class: 'quiet', text: 'Fetching…' }));
  $('#answers').showModal();
  panels.fillAnswers(await earlierAnswers(), new Set(outbox.all().map(entry => entry.key)), change);
}

// What the page says
function counts() {
  const waiting = outbox.waiting(), fresh = new Set(waiting.filter(entry => entry.revision === 0).map(entry => entry.key)).size;
  return { waiting, done: app.done + fresh, left: app.left === null ? null : Math.max(0, app.left - fresh) };
}
function drawFigures() {
  const { waiting, done, left } = counts();
  const pace = app.seen.length > 2 ? app.seen.reduce((sum, one) => sum + one, 0) / app.seen.length : app.pace;
  const parts = [`${done.toLocaleString('en')} done`];
  if (left !== null) parts.push(`${left.toLocaleString('en')} left`);
  if (pace) parts.push(`${duration(pace)} each`);
  if (pace && left) parts.push(`about ${duration(pace * left)} to go`);
  $('#figures').replaceChildren(...parts.map((part, n) => node('span', { class: n > 1 ? 'more' : null, text: part })));
  const bar = $('#bar');
  bar.hidden = left === null || !app.opened;
  if (left !== null) {
    bar.setAttribute('aria-valuemax', done + left);
    bar.setAttribute('aria-valuenow', done);
    bar.style.setProperty('--part', done + left ? done / (done + left) : 1);
  }
  const late = waiting.length > 0 && outbox.late;
  app.sent = waiting.length > 0 || app.sent && !outbox.stuck().length;
  const word = late ? `Not saved yet: kept ${waiting.some(entry => store.memory.has(entry.name)) ? 'while this page is open' : 'in this browser'}; ${waiting.length.toLocaleString('en')} waiting` : waiting.length ? 'Saving…' : app.sent ? 'Saved' : '';
  const saving = $('#saving'), before = saving.dataset.state;
  saving.dataset.state = late ? 'late' : waiting.length ? 'saving' : app.sent ? 'saved' : 'idle';
  $('#saving-text').textContent = word;
  $('#retry').hidden = !late;
  if (before !== saving.dataset.state && (late || before === 'late')) say(word);
  $('#undo').disabled = !done && !app.past.length;
}
function drawStuck() {
  for (const one of document.querySelectorAll('[data-id^="out:"]')) one.remove();
  for (const entry of outbox.stuck()) {
    const { why, revision, error } = entry.stuck;
    const button = (text, act) => node('button', { type: 'button', class: 'link', text, on: { click: () => { outbox.drop(entry); drawStuck(); act?.(); } } });
    const what = entry.card ? `“${entry.card.prompt.slice(0, 60)}”` : 'one card';
    if (why === 'changed') notice(entry.name, `Your answer to ${what} was changed elsewhere meanwhile, so this one was not saved.`, button('Save this one', () => outbox.put(entry.key, revision + 1, entry.answer, entry.card)), button('Keep the other'));
    else notice(entry.name, `Your answer to ${what} was not accepted. ${error}`, entry.card ? button('Open it', () => reopen(entry)) : null, button('Discard it'));
  }
}
function reopen({ key, revision, answer, card: one }) {
  app.answered.delete(key);
  app.past = app.past.filter(answered => answered.key !== key);
  store.set(`draft:${key}:${revision}`, answer);
  if (app.now) { keepDraft(); if (!app.now.earlier) app.ahead.unshift({ ...app.now.card, revision: app.now.revision }); }
  begin({ card: { ...one, key }, revision, earlier: null });
}

function state(head, text, ...actions) {
  $('#card').hidden = $('#judge').hidden = true;
  const box = $('#state'), news = box.hidden || $('#state-head').textContent !== head;
  box.hidden = false;
  $('#state-head').textContent = head;
  $('#state-text').textContent = text;
  $('#state-actions').replaceChildren(...actions);
  if (news) { box.focus({ preventScroll: true }); say(`${head}. ${text}`); }
}
function show() {
  clearTimeout(app.checking);
  if (!app.link || !app.opened) return;
  const { waiting, done, left } = counts(), kept = waiting.length, late = kept && outbox.late;
  const answers = done ? node('button', { type: 'button', text: 'Your answers', on: { click: openAnswers } }) : null;
  const again = node('button', { type: 'button', text: 'Look again', on: { click: check } });
  const rest = late ? ` ${counted(kept, 'answer is', 'answers are')} not saved yet: keep this page open.`
    : kept ? ` ${counted(kept, 'answer is', 'answers are')} being saved.` : done ? ` Your ${counted(done, 'answer')} ${done === 1 ? 'is' : 'are'} saved.` : '';
  const buttons = [again, answers].filter(Boolean);
  if (app.now && app.status === 'open') {
    $('#state').hidden = true;
    $('#card').hidden = $('#judge').hidden = false;
    $('#hint').textContent = '';
    return;
  }
  app.checking = setTimeout(check, app.reached === false ? 2000 : CHECK);
  if (app.status === 'paused') state('This campaign is paused', `It goes on here by itself when it is opened again.${rest}`, ...buttons);
  else if (app.status === 'closed') state('This campaign is closed', `It takes no more answers. Thank you.${rest}`, ...buttons.slice(1));
  else if (app.status === 'draft') state('This campaign has not begun', 'This page opens by itself when it does.', again);
  else if (left === 0 && done) state(`All done${app.annotator.name ? `, ${app.annotator.name}` : ''}. Thank you!`, `You answered ${counted(done, 'card')}.${kept ? rest : ' Everything is saved.'}`, ...buttons.slice(1));
  else if (app.reached === false || late) state('The next card cannot be fetched', `The server does not answer; this page tries again by itself.${rest}`, ...buttons);
  else if (app.fetching || kept) state('Fetching the next card…', '');
  else if (left === 0) state('Nothing to rank yet', 'This campaign has no cards for you so far. Ask whoever sent you the link, or look again later.', again);
  else state('Nothing to rank right now', `${left === null ? 'There are no more cards for you at the moment.' : 'The cards that are left are with other annotators.'} This page looks again by itself.${rest}`, ...buttons);
}
function endLink() {
  app.link = false;
  app.now = null;
  const kept = outbox.waiting().length;
  state('This link is no longer valid', `Ask whoever sent it to you for a new one.${kept ? ` ${counted(kept, 'answer')} not saved yet ${kept === 1 ? 'is' : 'are'} kept in this browser.` : ''}`,
    node('button', { type: 'button', text: 'Try again', on: { click: () => location.reload() } }));
}

// Flag and comment
function drawFlag() { $('#flag').setAttribute('aria-pressed', app.flag); }
function toggleFlag() { app.flag = !app.flag; drawFlag(); keepDraft(); say(app.flag ? 'Flagged' : 'Flag removed'); }
function toggleComment(open, focus = false) {
  $('#comment-row').hidden = !open;
  $('#comment-button').setAttribute('aria-expanded', open);
  if (open && focus) $('#comment').focus();
}

// Keys
const openSkip = () => panels.openSkip(reason => submit(reason));
const openHelp = () => panels.openHelp(card.card ? card.pair : app.campaign.kind === 'pairwise', app.campaign, card.card ? card.count : 2);
function onkey(event) {
  const { target, key } = event, typing = target.closest('input, textarea, select, [contenteditable]');
  if (typing) {
    if (key === 'Enter' && (event.ctrlKey || event.metaKey)) submit();
    if (key === 'Escape' && !event.isComposing) { toggleComment(!!$('#comment').value); $('#prompt-head').focus(); }
    return;
  }
  if (event.isComposing || event.altKey || panels.anyModal()) return;
  const control = event.ctrlKey || event.metaKey;
  if (control && !(key.toLowerCase() === 'z' && !event.shiftKey)) return;
  const upper = key.length === 1 ? key.toUpperCase() : key, button = target.closest('button'), judging = app.now && !$('#card').hidden;
  let used = true;
  if (control || upper === 'U') { if (!event.repeat) undo(); }
  else if (upper === 'G') panels.toggleGuidelines();
  else if (key === '?') openHelp();
  else if (key === 'Escape') used = $('#guidelines').open ? (panels.toggleGuidelines(), true) : leave();
  else if (!judging) return;
  else if (key === 'Enter') { if (button && button.getAttribute('aria-pressed') !== 'true' && !button.matches('.chip, .badge')) return; if (!event.repeat) submit(); }
  else if (key === ' ' && button) return;
  else if (key === ' ' || key === 'PageDown' || key === 'PageUp') card.page(key === 'PageUp' || event.shiftKey ? -1 : 1);
  else if (upper === 'S') openSkip();
  else if (upper === 'F' && (event.shiftKey || card.pair || card.count < 6)) toggleFlag();
  else if (upper === 'C' && (event.shiftKey || card.pair || card.count < 3)) toggleComment(true, true);
  else used = card.key(key);
  if (used) event.preventDefault();
}
document.addEventListener('keydown', onkey);
// A click on a button leaves the focus where it was, so that the keys go on working.
document.addEventListener('mousedown', event => { if (event.target.closest('.judge button, .candidate button, .prompt button, .top button')) event.preventDefault(); });
$('#submit').addEventListener('click', () => submit());
$('#skip').addEventListener('click', openSkip);
$('#undo').addEventListener('click', undo);
$('#flag').addEventListener('click', toggleFlag);
$('#comment-button').addEventListener('click', () => toggleComment($('#comment-row').hidden, true));
$('#comment').addEventListener('input', keepDraft);
$('#retry').addEventListener('click', () => outbox.flush());
$('#open-guidelines').addEventListener('click', panels.toggleGuidelines);
$('#open-answers').addEventListener('click', openAnswers);
$('#open-help').addEventListener('click', openHelp);
addEventListener('pagehide', () => { if (app.now) keepDraft(); });
addEventListener('beforeunload', event => { if (outbox.waiting().length) event.preventDefault(); });
panels.wire();
panels.wireScheme(store);
open();
