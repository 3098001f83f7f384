// What opens beside or over the card: guidelines, earlier answers, keys, reasons to skip.
import { $, letter, node } from './dom.js';

const WIDE = matchMedia('(min-width: 1100px)');
export const REASONS = ['unclear', 'cannot judge', 'offensive', 'other'];
const REASON_NAMES = ['The prompt is unclear', 'I cannot judge this', 'It is offensive', 'Another reason'];

export const anyModal = () => document.querySelector('dialog:modal');

export function wire() {
  for (const dialog of document.querySelectorAll('dialog')) {
    for (const button of dialog.querySelectorAll('.close')) button.addEventListener('click', () => dialog.close());
    dialog.addEventListener('click', event => { if (event.target === dialog && dialog.matches(':modal')) dialog.close(); });
    dialog.addEventListener('close', () => { document.body.classList.remove(`with-${dialog.id}`); });
  }
}

// Beside the card where there is room, so that one can read and judge at once; over it elsewhere.
export function toggleGuidelines() {
  $('#start').hidden = true;
  const panel = $('#guidelines');
  if (panel.open) return panel.close();
  if (!WIDE.matches) return panel.showModal();
  const focus = document.activeElement;
  panel.show();
  focus?.focus?.({ preventScroll: true });
  document.body.classList.add('with-guidelines');
}

// For whoever comes first: what closes them on a small screen is the way to the cards.
export function openGuidelines() {
  toggleGuidelines();
  $('#start').hidden = !$('#guidelines').matches(':modal');
}

// Plain text: blank lines part paragraphs, and lines that begin with '- ' are a list.
export function fillGuidelines(text) {
  const blocks = [];
  for (const paragraph of (text ?? '').split(/\n\s*\n/)) {
    let list = null, lines = [];
    const flush = () => { if (lines.length) blocks.push(node('p', { text: lines.join('\n') })); lines = []; };
    for (const line of paragraph.split('\n')) {
      if (!line.startsWith('- ')) { list = null; if (line.trim()) lines.push(line); continue; }
      flush();
      if (!list) blocks.push(list = node('ul'));
      list.append(node('li', { text: line.slice(2) }));
    }
    flush();
  }
  if (!blocks.length) blocks.push(node('p', { text: 'This campaign has no guidelines.' }));
  $('#guidelines-text').replaceChildren(...blocks);
}

export function openHelp(pair, { ties, both_bad }, count) {
  const last = letter(count - 1);
  const rows = pair
    ? [['1 A ←', 'A is better'], ['2 B →', 'B is better'], ties && ['T 0 ↓', 'Tie'], both_bad && ['X', 'Both bad']]
    : [[`A … ${last}`, 'Rank from best to worst; select one that has a place'], [`1 … ${count}`, 'Give the selected one that place'], ['↑ ↓', 'Better or worse by one place'], ties && ['=', 'Tie with the one above'],
      ['Delete', 'Take it out of the ranking'], both_bad && ['X', 'All bad'], ['Mouse, finger', 'Drag a letter into a place']];
  rows.push(['Enter', 'Submit'], ['S', 'Skip'], ['U Ctrl+Z', 'Back to the last answered card'], ['Esc', 'Leave it as it was'], [pair || count < 6 ? 'F' : 'Shift+F', 'Flag'], [pair || count < 3 ? 'C' : 'Shift+C', 'Comment'],
    ['G', 'Guidelines'], ['P', 'Whole prompt'], ['L', 'Scroll together or one by one'], ['Space', 'Scroll on'], ['?', 'This list']);
  $('#help-list').replaceChildren(...rows.filter(Boolean).flatMap(([keys, what]) => [node('dt', {}, ...keys.split(' ').map(key => node('kbd', { text: key }))), node('dd', { text: what })]));
  $('#help').showModal();
}

export function openSkip(chosen) {
  const menu = $('#skip-menu');
  const pick = reason => { menu.close(); chosen(reason); };
  $('#reasons').replaceChildren(...REASONS.map((reason, n) => node('button', { type: 'button', 'data-reason': reason, on: { click: () => pick(reason) } },
    node('kbd', { text: n + 1 }), node('span', { text: REASON_NAMES[n] }))));
  menu.onkeydown = event => { const reason = REASONS[Number(event.key) - 1]; if (reason) { event.preventDefault(); event.stopPropagation(); pick(reason); } };
  menu.showModal();
  $('#reasons button').focus();
}

export function judgement({ groups, both_bad, skip, candidates }) {
  if (skip) return `Skipped: ${skip}`;
  const pair = candidates.length === 2;
  if (both_bad && pair) return 'Both bad';
  const ranking = groups.map(group => group.map(letter).join(' = ')).join(' > ');
  return both_bad ? `${ranking}, all bad` : ranking;
}

const when = at => {
  const moment = new Date(at);
  return Number.isNaN(moment.getTime()) ? '' : moment.toLocaleString('en', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hour12: false });
};

// answers: a list, or null where it could not be fetched
export function fillAnswers(answers, waiting, change) {
  const list = $('#answers-list');
  if (answers === null) return list.replaceChildren(node('p', { class: 'quiet', text: 'Your answers could not be fetched just now. Close this panel and open it again in a moment.' }));
  if (!answers.length) return list.replaceChildren(node('p', { class: 'quiet', text: 'No answers yet. Those that you submit are listed here, and you can change them.' }));
  list.replaceChildren(...answers.map(answer => node('button', { type: 'button', class: 'earlier', on: { click: () => { $('#answers').close(); change(answer); } } },
    node('span', { class: 'line' }, node('b', { text: judgement(answer) }), answer.flag ? node('span', { class: 'tag', text: 'Flagged' }) : null,
      waiting.has(answer.key) ? node('span', { class: 'tag late', text: 'Not saved yet' }) : null, node('span', { class: 'push' }), node('time', { text: answer.at ? when(answer.at) : '' })),
    node('span', { class: 'snippet', text: answer.prompt.slice(0, 300) }),
    answer.comment ? node('span', { class: 'snippet', text: `Comment: ${answer.comment.slice(0, 200)}` }) : null)));
}

export function wireScheme(store) {
  const root = document.documentElement;
  const kept = store.get('scheme');
  if (kept === 'light' || kept === 'dark') root.dataset.scheme = kept;
  $('#scheme').addEventListener('click', () => {
    const dark = root.dataset.scheme ? root.dataset.scheme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.scheme = dark ? 'light' : 'dark';
    store.set('scheme', root.dataset.scheme);
  });
}
