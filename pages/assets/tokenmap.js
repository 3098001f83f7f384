const map = element.querySelector('.tm'), tip = element.querySelector('.tm-tip');
let tokens = [], spans = [], key = null, completion = 0, current = null, before = '', hideLater = null;
const CHUNK = 'span[data-n]';

const visible = text => text === '' ? '(part of a character)' : text.replace(/ /g, '·').replace(/\n/g, '↵').replace(/\t/g, '→').replace(/\r/g, '␍');
const spoken = text => ({'': 'part of a character', ' ': 'space', '\n': 'line break', '\t': 'tab'})[text];
const percent = p => p == null ? '–' : p === 0 ? '0' : p >= 0.0995 ? (100 * p).toFixed(1) + ' %' : p >= 0.0001 ? (100 * p).toPrecision(2) + ' %' : '<0.01 %';

function fill(node, text) {
  if (text === '') { const mark = document.createElement('i'); mark.dataset.mark = '▯'; node.append(mark); return; }
  for (const part of text.match(/[\n\t\r]|^ +$|[^\n\t\r]+/g)) {
    const space = /^ +$/.test(part) && text.trim() === '', mark = {'\n': '↵', '\t': '→', '\r': '␍'}[part] || (space && '·'.repeat(part.length));
    if (!mark) { node.append(part); continue; }
    const shown = document.createElement('i');
    shown.dataset.mark = mark; shown.textContent = part;
    if (space) shown.className = 'space';
    node.append(shown);
  }
}

function span(token, n) {
  const node = document.createElement('span');
  node.dataset.n = n; node.tabIndex = n === 0 ? 0 : -1; node.setAttribute('role', 'button');
  fill(node, token.t);
  if (token.t.trim() === '') node.setAttribute('aria-label', spoken(token.t) || 'white space');
  if (token.p == null) node.classList.add('unknown');
  else node.style.background = `color-mix(in oklab, var(--tm-hue) ${Math.round((1 - token.p) * 50)}%, transparent)`;
  return node;
}

function reset(value) {
  hide(); map.replaceChildren(); tokens = []; spans = []; key = value.key; before = '';
}

function apply() {
  const value = props.value || {};
  map.dataset.placeholder = value.placeholder || props.placeholder || '';
  map.toggleAttribute('data-busy', Boolean(value.placeholder));
  if (value.key !== key) reset(value);
  completion = value.completion || 0;
  if ((value.before || '') !== before) {
    before = value.before || '';
    const node = document.createElement('span');
    node.className = 'before'; node.textContent = before;
    map.prepend(node);
  }
  JSON.parse(value.tokens || '[]').forEach((token, j) => { tokens[(value.start || 0) + j] = token; });
  const fresh = document.createDocumentFragment();
  for (let n = spans.length; tokens[n]; n++) { const node = span(tokens[n], n); spans.push(node); fresh.append(node); }
  map.append(fresh);
  mark(value.selected);
}

function mark(n) {
  map.querySelector('.selected')?.classList.remove('selected');
  if (n != null && spans[n]) spans[n].classList.add('selected');
}

function line(name, text) {
  const row = document.createElement('div'), left = document.createElement('span'), right = document.createElement('span');
  row.className = 'line'; left.textContent = name; right.textContent = text; row.append(left, right);
  return row;
}

function alternative(row, token) {
  const [id, text, first, last] = row, button = document.createElement('button');
  button.type = 'button'; button.tabIndex = -1; button.dataset.id = id;
  if (last === 0) button.classList.add('removed');
  if (id === token.i) button.classList.add('taken');
  const code = document.createElement('code'), bar = document.createElement('span'), inner = document.createElement('em');
  code.textContent = visible(text); bar.className = 'bar'; inner.style.width = Math.round(100 * ((last == null || last === 0 ? first : last) || 0)) + '%';
  bar.append(inner); button.append(code, bar);
  for (const p of [first, last]) { const cell = document.createElement('span'); cell.textContent = percent(p); button.append(cell); }
  return button;
}

function columns() {
  const row = document.createElement('div');
  row.className = 'cols';
  for (const name of ['alternative', '', 'model', 'filtered']) { const cell = document.createElement('span'); cell.textContent = name; row.append(cell); }
  return row;
}

function note(text) {
  const row = document.createElement('div');
  row.className = 'note'; row.textContent = text;
  return row;
}

function show(node) {
  clearTimeout(hideLater);
  if (current === node && !tip.hidden) return;
  current = node;
  const token = tokens[+node.dataset.n];
  const title = document.createElement('div'), name = document.createElement('b');
  title.className = 'line'; name.textContent = visible(token.t); title.append(name);
  if (token.i != null) { const id = document.createElement('span'); id.className = 'note'; id.textContent = 'id ' + token.i; title.append(id); }
  tip.replaceChildren(title);
  if (token.p == null) tip.append(note('The model did not send a probability for this token.'));
  else tip.append(line("the model's probability", percent(token.p)));
  if (token.d != null) tip.append(line('drawn with, after the filters', percent(token.d)));
  if (token.a && token.a.length) { tip.append(columns(), ...token.a.map(row => alternative(row, token)), note('Choose one to branch from here.')); }
  tip.hidden = false;
  place(node);
}

// The alternatives stand above the token, so that what a click draws below stays in sight; on a phone at the lower edge.
function place(node) {
  const rects = node.getClientRects(), box = rects[rects.length - 1] || node.getBoundingClientRect();
  if (matchMedia('(max-width: 640px)').matches) {  // what was touched moves above the sheet
    tip.style.left = tip.style.top = '';
    const covered = box.bottom + 12 - tip.getBoundingClientRect().top;
    if (covered > 0) scrollBy({ top: covered, behavior: 'instant' });
    return;
  }
  const bar = document.querySelector('.nav-holder')?.getBoundingClientRect().bottom ?? 0;
  const above = box.top - tip.offsetHeight - 4, beneath = Math.min(box.bottom + 4, innerHeight - tip.offsetHeight - 4);
  tip.style.left = Math.max(4, Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 4)) + 'px';
  tip.style.top = (above >= bar ? above : beneath) + 'px';
}

function hide() { clearTimeout(hideLater); tip.hidden = true; current = null; }
function hideSoon() { clearTimeout(hideLater); hideLater = setTimeout(() => { if (!tip.contains(document.activeElement)) hide(); }, 180); }

function focusToken(n) {
  const node = spans[Math.max(0, Math.min(spans.length - 1, n))];
  if (!node) return;
  map.querySelector('[tabindex="0"]')?.setAttribute('tabindex', '-1');
  node.tabIndex = 0; node.focus();
}

function select(node) { const index = +node.dataset.n; mark(index); trigger('select', { completion, index }); }
function branch(button) { const index = +current.dataset.n, token = +button.dataset.id; hide(); trigger('branch', { completion, index, token }); }

element.addEventListener('mouseover', e => {
  const node = e.target.closest(CHUNK);
  if (node) show(node); else if (e.target.closest('.tm-tip')) clearTimeout(hideLater); else hideSoon();
});
element.addEventListener('mouseleave', hideSoon);
element.addEventListener('focusin', e => { const node = e.target.closest(CHUNK); if (node) show(node); });
element.addEventListener('focusout', e => { if (!element.contains(e.relatedTarget)) hideSoon(); });
element.addEventListener('click', e => {
  const button = e.target.closest('.tm-tip button'), node = e.target.closest(CHUNK);
  if (button) branch(button); else if (node) { focusToken(+node.dataset.n); show(node); select(node); }
});
element.addEventListener('keydown', e => {
  const node = e.target.closest(CHUNK), button = e.target.closest('.tm-tip button');
  if (node) {
    const n = +node.dataset.n, to = { ArrowRight: n + 1, ArrowLeft: n - 1, Home: 0, End: spans.length - 1 }[e.key];
    if (to !== undefined) focusToken(to);
    else if (e.key === 'Enter' || e.key === ' ') select(node);
    else if (e.key === 'ArrowDown') tip.querySelector('button')?.focus();
    else if (e.key === 'Escape') hide();
    else return;
  } else if (button) {
    const other = { ArrowDown: button.nextElementSibling, ArrowUp: button.previousElementSibling }[e.key];
    if (e.key === 'Escape' || (e.key === 'ArrowUp' && other?.tagName !== 'BUTTON')) { const back = current; back?.focus(); if (e.key === 'Escape') hide(); }
    else if (other?.tagName === 'BUTTON') other.focus();
    else if (e.key === 'Enter' || e.key === ' ') branch(button);
    else if (e.key !== 'ArrowDown') return;
  } else return;
  e.preventDefault(); e.stopPropagation();
});

document.addEventListener('scroll', e => {
  if (current && !tip.hidden && !tip.contains(e.target) && !matchMedia('(max-width: 640px)').matches) place(current);
}, { capture: true, passive: true });
document.addEventListener('pointerdown', e => { if (element.isConnected && !element.contains(e.target)) hide(); });
document.addEventListener('keydown', e => { if (element.isConnected && e.key === 'Escape') hide(); });

watch('value', apply);
apply();
