// Two answers side by side; texts are only ever set as text. What is typed goes to this page's own routes.
const $ = id => document.getElementById(id);
const CONSENT = `genai-lab-consent ${location.pathname}`;
let key = null, prompt = '', writing = false, longest = 2000;

const kept = () => { try { return localStorage.getItem(CONSENT) === 'yes'; } catch { return false; } };
let consent = kept(), declined = false;

const say = text => { $('live').textContent = text; };
const trouble = text => { $('problem').textContent = text; $('problem').hidden = !text; };
const post = (name, body, signal) => fetch(name, {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal,
});

async function open() {
  const answer = await fetch('state');
  const state = await answer.json();
  if (!answer.ok) { trouble(state.error); return; }
  document.title = state.title;
  $('title').textContent = state.title;
  $('intro').textContent = state.intro;
  $('intro').hidden = !state.intro;
  longest = state.longest;
  if (state.closed) { trouble('This demo is closed. Thank you for your interest.'); return; }
  $('prompt').maxLength = longest;
  $('examples').replaceChildren(...state.prompts.map(text => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = text;
    button.title = text;
    button.addEventListener('click', () => { if (!writing) { $('prompt').value = text; count(); ask(); } });
    return button;
  }));
  $('ask').hidden = false;
  count();
}

function count() {
  const length = $('prompt').value.length;
  $('count').textContent = length > longest / 2 ? `${length.toLocaleString('en')} of ${longest.toLocaleString('en')} characters` : '';
}

function busy(on) {
  writing = on;
  $('send').disabled = on;
  $('stop').hidden = !on;
  for (const side of [0, 1]) $(`text-${side}`).toggleAttribute('data-writing', on);
}

async function ask() {
  prompt = $('prompt').value;
  if (writing) return;
  if (!prompt.trim()) { trouble('Write a prompt first, or choose an example.'); $('prompt').focus(); return; }
  trouble('');
  $('answers').hidden = false;
  $('asked').textContent = prompt;
  $('judge').hidden = true;
  for (const side of [0, 1]) $(`text-${side}`).textContent = '';
  for (const one of document.querySelectorAll('article')) one.classList.remove('chosen');
  key = null;
  busy(true);
  say('Both models are answering.');
  let ended = 0;
  try {
    const answer = await post('answer', { prompt });
    if (!answer.ok) throw new Error((await answer.json()).error);
    for await (const item of lines(answer.body)) {
      if (item.key) { key = item.key; continue; }
      $(`text-${item.side}`).textContent = item.text;
      if (item.error) trouble(item.error);
      if (item.end) { ended += 1; $(`text-${item.side}`).removeAttribute('data-writing'); }
    }
  } catch (problem) {
    trouble(problem instanceof TypeError ? 'The answer broke off; ask again.' : problem.message);
    if (!key) $('answers').hidden = true;
  }
  busy(false);
  if (key && ended === 2) { judge(); say('Both answers are there.'); }
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

function judge() {
  $('judge').hidden = declined && !consent;
  $('consent').hidden = consent;
  $('votes').hidden = !consent;
  $('thanks').hidden = true;
  for (const button of $('votes').children) button.disabled = false;
}

async function vote(verdict) {
  for (const button of $('votes').children) button.disabled = true;
  for (let attempt = 0; ; attempt += 1) {
    try {
      const answer = await post('vote', { key, verdict, consent });
      if (answer.ok) break;
      if (answer.status < 500) { trouble((await answer.json()).error); return; }
    } catch { /* the network is away */ }
    trouble('Not saved yet; trying again.');
    await new Promise(done => setTimeout(done, Math.min(8000, 500 * 2 ** attempt)));
  }
  trouble('');
  const sides = document.querySelectorAll('article');
  if (verdict === 'a') sides[0].classList.add('chosen');
  if (verdict === 'b') sides[1].classList.add('chosen');
  $('votes').hidden = true;
  $('thanks').hidden = false;
  say('Your vote is saved.');
}

$('ask').addEventListener('submit', event => { event.preventDefault(); ask(); });
$('prompt').addEventListener('input', count);
$('prompt').addEventListener('keydown', event => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); ask(); }
});
$('stop').addEventListener('click', () => { if (key) post('stop', { key }); });
$('agree').addEventListener('click', () => {
  consent = true;
  try { localStorage.setItem(CONSENT, 'yes'); } catch { /* it is asked again next time */ }
  judge();
  $('votes').firstElementChild.focus();
});
$('decline').addEventListener('click', () => { declined = true; $('judge').hidden = true; $('prompt').focus(); });
$('votes').addEventListener('click', event => {
  const button = event.target.closest('button[data-verdict]');
  if (button) vote(button.dataset.verdict);
});
open().catch(() => trouble('The page could not be loaded; try again in a moment.'));
