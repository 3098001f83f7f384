// One card: the prompt, its candidates in shown order, and the judgement under way.
import { $, letter, node, say } from './dom.js';
import * as order from './order.js';
import { draggable } from './drag.js';

export const BLANK = { both_bad: false, flag: false, comment: '', skip: null };
const ordinal = n => `place ${n + 1}`;

export class Card {
  // changed(): the judgement was changed by hand
  constructor(settings, changed) {
    Object.assign(this, { settings, changed, places: [], bad: false, selected: null, together: true });
    this.box = $('#candidates');
    draggable(document.body, { dropped: (one, at, where) => this.drop(one, at, where), ties: () => this.settings().ties });
    this.box.addEventListener('scroll', event => this.follow(event.target), true);
    const sizes = new ResizeObserver(() => requestAnimationFrame(() => { if (this.card) this.fit(false); }));
    for (const one of [this.box, $('#prompt-text')]) sizes.observe(one, { box: 'border-box' });
    $('#more').addEventListener('click', () => this.unfold());
    $('#together').addEventListener('click', () => this.setTogether(!this.together));
  }

  get count() { return this.card.candidates.length; }
  get pair() { return this.settings().kind === 'pairwise' && this.count === 2; }
  get ready() { return this.bad && this.pair || order.complete(this.places); }
  get answer() { return { groups: this.ready ? order.groups(this.places) : [], both_bad: this.bad }; }

  // judged: {groups, both_bad, places?} of a draft or an earlier answer
  show(card, judged) {
    this.card = card;
    this.bad = judged?.both_bad ?? false;
    this.places = judged?.places ?? order.fromGroups(judged?.groups ?? [], this.count);
    this.selected = this.pair ? null : 0;
    $('#prompt-text').textContent = card.prompt;
    this.panels = card.candidates.map((candidate, n) => this.panel(candidate.text, n));
    this.box.replaceChildren(...this.panels.map(panel => panel.root));
    this.box.dataset.count = this.count;
    document.body.dataset.kind = this.pair ? 'pair' : 'ranking';
    this.controls();
    this.draw();
    this.fit();
    this.box.scrollTop = 0;
  }

  panel(text, n) {
    const name = letter(n);
    const badge = node('button', { type: 'button', class: 'badge', 'data-one': n, 'aria-label': this.pair ? `Choose ${name}` : `Select ${name}`, text: name,
      on: { click: () => this.pair ? this.choose(n) : this.select(n) } });
    const mark = node('span', { class: 'mark' });
    const buttons = this.pair ? null : node('span', { class: 'places', role: 'group', 'aria-label': `Place of ${name}` },
      ...this.card.candidates.map((_, at) => node('button', { type: 'button', text: at + 1, 'aria-label': `${name} to ${ordinal(at)}`, on: { click: () => this.places[at].includes(n) ? this.drop(n, null) : this.place(n, at) } })));
    const head = node('div', { class: 'head' }, badge, mark, node('span', { class: 'push' }), buttons);
    if (this.pair) head.addEventListener('click', event => { if (!event.target.closest('button')) this.choose(n); });
    const body = node('div', { class: 'text', text, role: 'region', 'aria-label': `Candidate ${name}`, tabindex: 0 });
    const root = node('section', { class: 'candidate', 'aria-label': `Candidate ${name}`, on: { focusin: () => { if (!this.pair) this.select(n, false); } } }, head, body);
    root.addEventListener('click', () => { if (!this.pair) this.select(n, false); });
    return { root, body, mark, badge, buttons: buttons ? [...buttons.children] : [] };
  }

  controls() {
    const { ties, both_bad } = this.settings();
    const option = (act, name, key) => node('button', { type: 'button', 'data-act': act, 'aria-pressed': 'false', on: { click: () => this.act(act) } },
      node('span', {}, name.split(' with')[0], act === 'tie' && !this.pair ? node('span', { class: 'act-long', text: ' with above' }) : ''), node('kbd', { text: key, 'aria-hidden': 'true' }));
    const bad = both_bad && option('bad', this.pair ? 'Both bad' : 'All bad', 'X');
    $('#choices').replaceChildren(...(this.pair
      ? [option('first', 'A is better', '1'), ties && option('tie', 'Tie', 'T'), bad, option('second', 'B is better', '2')]
      : [option('up', 'Better', '↑'), option('down', 'Worse', '↓'), ties && option('tie', 'Tie with above', '='), bad]).filter(Boolean));
    for (const act of ['up', 'down', this.pair ? '' : 'tie']) $(`#choices [data-act="${act}"]`)?.removeAttribute('aria-pressed');
    $('#strip').hidden = this.pair;
  }

  act(act) {
    if (act === 'first' || act === 'second') return this.choose(act === 'first' ? 0 : 1);
    if (act === 'up' || act === 'down') return this.move(act === 'up' ? -1 : 1);
    if (act === 'bad') return this.toggleBad();
    return this.pair ? this.choose('tie') : this.tie();
  }

  get choice() {
    if (this.bad) return 'bad';
    if (!order.complete(this.places)) return null;
    return this.places[0].length === 2 ? 'tie' : this.places[0][0] === 0 ? 'first' : 'second';
  }
  choose(one) {
    if (one === 'tie' && !this.settings().ties) return say('Ties are not allowed in this campaign.');
    this.places = one === 'tie' ? [[0, 1], []] : [[one], [1 - one]];
    this.bad = false;
    this.done(one === 'tie' ? 'Tie' : `${letter(one)} is better`);
  }
  toggleBad() {
    if (!this.settings().both_bad) return;
    this.bad = !this.bad;
    if (this.pair) this.places = this.bad ? [[0, 1], []] : order.none(2);
    this.done(this.bad ? (this.pair ? 'Both are bad' : 'All are bad') : 'Not marked as bad');
  }

  select(one, speak = true) {
    if (one >= this.count || one === this.selected) return;
    this.selected = one;
    this.draw();
    if (speak) say(this.told(one));
  }
  told(one) {
    const at = order.placeOf(this.places, one);
    if (at < 0) return `${letter(one)}: not placed`;
    const tied = this.places[at].filter(other => other !== one).map(letter);
    return `${letter(one)}: ${ordinal(at)} of ${this.count}${tied.length ? `, tied with ${tied.join(' and ')}` : ''}`;
  }
  // A letter puts its candidate into the best place that is free, so that letters in order are a ranking; the letter of
  // a candidate that has a place selects it.
  name(one) {
    if (order.placeOf(this.places, one) < 0) this.set(order.step(this.places, one, 1), one);
    else this.select(one);
    this.panels[one].root.scrollIntoView({ block: 'nearest' });
  }
  place(one, at) { if (at < this.count) this.set(order.place(this.places, one, at), one); }
  move(way) { this.set(order.step(this.places, this.selected, way), this.selected); }
  tie() {
    if (!this.settings().ties) return say('Ties are not allowed in this campaign.');
    const tied = order.tieAbove(this.places, this.selected);
    return tied ? this.set(tied, this.selected) : say(`Nothing above ${letter(this.selected)} to tie with`);
  }
  drop(one, at, where) {
    const moved = at === null ? order.remove(this.places, one) : order[where](this.places, one, at);
    this.set(moved, one);
  }
  set(places, one) {
    this.places = places;
    this.selected = one;
    this.done(this.told(one));
  }
  done(sentence) { this.draw(); this.changed(); say(sentence); }

  draw() {
    const { choice } = this;
    for (const button of $('#choices').querySelectorAll('[aria-pressed]')) {
      const act = button.dataset.act;
      button.setAttribute('aria-pressed', act === 'bad' ? this.bad : act === choice);
    }
    this.panels.forEach((panel, n) => {
      const at = order.placeOf(this.places, n), picked = this.pair && choice === ['first', 'second'][n];
      panel.root.classList.toggle('selected', n === this.selected);
      panel.root.classList.toggle('picked', picked);
      panel.mark.textContent = this.pair
        ? (picked ? 'Better' : choice === 'tie' ? 'Tie' : choice === 'bad' ? 'Bad' : '')
        : at < 0 ? 'Not placed' : this.places[at].length > 1 ? 'Tied' : '';
      if (this.pair) panel.badge.setAttribute('aria-pressed', picked);
      panel.buttons.forEach((button, place) => button.setAttribute('aria-pressed', place === at));
    });
    if (!this.pair) this.drawStrip();
    $('#submit').classList.toggle('waiting', !this.ready);
  }

  drawStrip() {
    const held = document.activeElement?.closest?.('#strip') && document.activeElement.dataset.one;
    const chip = one => node('button', { type: 'button', class: one === this.selected ? 'chip selected' : 'chip', 'data-one': one, text: letter(one), 'aria-label': this.told(one), on: { click: () => this.select(one) } });
    const slot = (place, at) => node('div', { class: place.length ? 'slot' : 'slot free', 'data-at': at }, node('span', { class: 'number', text: at + 1 }), ...place.map(chip));
    const left = this.card.candidates.map((_, n) => n).filter(n => order.placeOf(this.places, n) < 0);
    $('#strip').replaceChildren(node('span', { class: 'end', text: 'Best' }), ...this.places.map(slot), node('span', { class: 'end', text: 'Worst' }),
      node('div', { class: left.length ? 'pool' : 'pool none', 'data-at': 'pool' }, node('span', { class: 'number', text: left.length === this.count ? 'Press from best to worst' : 'To place' }), ...left.map(chip)));
    if (held) $(`#strip [data-one="${held}"]`)?.focus({ preventScroll: true });
  }

  // Folding and scrolling
  fit(fresh = true) {
    const text = $('#prompt-text'), open = !fresh && text.classList.contains('open');
    text.classList.remove('open');
    $('#more').hidden = text.scrollHeight <= text.clientHeight + 4;
    text.classList.toggle('open', open);
    this.label(open);
    $('#together').hidden = !this.panels.some(({ body }) => body.scrollHeight > body.clientHeight + 4);
    for (const one of [text, ...this.panels.map(panel => panel.body)]) {
      if (one.scrollHeight > one.clientHeight + 4) one.tabIndex = 0;
      else one.removeAttribute('tabindex');
    }
  }
  label(open) {
    $('#more').setAttribute('aria-expanded', open);
    $('#more').firstChild.nodeValue = open ? 'Show less ' : 'Show all ';
  }
  unfold() {
    if ($('#more').hidden) return;
    const open = $('#prompt-text').classList.toggle('open');
    if (!open) $('#prompt-text').scrollTop = 0;
    this.label(open);
  }
  setTogether(on) {
    this.together = on;
    $('#together').setAttribute('aria-pressed', on);
    say(on ? 'Candidates scroll together' : 'Candidates scroll one by one');
  }
  follow(source) {
    if (!this.together || this.leader && this.leader !== source) return;
    this.leader = source;
    const part = source.scrollTop / Math.max(1, source.scrollHeight - source.clientHeight);
    for (const { body } of this.panels) if (body !== source) body.scrollTop = part * (body.scrollHeight - body.clientHeight);
    clearTimeout(this.calm);
    this.calm = setTimeout(() => { this.leader = null; }, 80);
  }
  page(way) {
    const at = this.selected ?? 0;
    const { body } = this.panels[this.panels[at].body.scrollHeight > this.panels[at].body.clientHeight ? at : 0];
    body.scrollBy({ top: way * body.clientHeight * 0.85 });
  }

  // What a key does here; false where it does nothing.
  key(key) {
    const upper = key.length === 1 ? key.toUpperCase() : key;
    const named = 'ABCDEF'.indexOf(upper), digit = '123456'.indexOf(key);
    if (upper === 'X' && this.settings().both_bad) this.toggleBad();
    else if (upper === 'P' && !$('#more').hidden) this.unfold();
    else if (upper === 'L' && !$('#together').hidden) this.setTogether(!this.together);
    else if (this.pair) {
      if (key === 'ArrowLeft' || key === '1' || upper === 'A') this.choose(0);
      else if (key === 'ArrowRight' || key === '2' || upper === 'B') this.choose(1);
      else if (upper === 'T' || key === '0' || key === 'ArrowDown') this.choose('tie');
      else return false;
    } else if (named >= 0 && key.length === 1 && named < this.count) this.name(named);
    else if (digit >= 0 && key.length === 1) this.place(this.selected, digit);
    else if (key === 'ArrowUp' || key === 'ArrowLeft') this.move(-1);
    else if (key === 'ArrowDown' || key === 'ArrowRight') this.move(1);
    else if (key === '=') this.tie();
    else if (key === 'Delete' || key === 'Backspace') this.drop(this.selected, null);
    else return false;
    return true;
  }
}
