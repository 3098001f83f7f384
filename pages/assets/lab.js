// Gradio's messages are a polite status with a button inside a button, its empty plots carry a label without a role,
// and its upload buttons are named otherwise than they read. An error is an alert, and the rest is made valid.
const UPLOAD = 'button.upload-container[aria-label]';
function mend(node) {
  if (node.matches(UPLOAD)) node.removeAttribute('aria-label');
  for (const button of node.querySelectorAll(UPLOAD)) button.removeAttribute('aria-label');
  for (const chart of node.querySelectorAll('.chart-scroll')) reachable(chart);
  if (node.matches('.chart-scroll')) reachable(node);
  for (const empty of node.querySelectorAll('.empty[aria-label]:not([role])')) empty.setAttribute('role', 'note');
  const bar = node.closest('.nav-holder nav') ?? node.querySelector('.nav-holder nav');
  if (bar && !bar.dataset.watched) {
    bar.dataset.watched = 'yes';
    bar.addEventListener('scroll', () => hint(bar), { passive: true });
    new ResizeObserver(() => hint(bar)).observe(bar);
    new ResizeObserver(() => center(bar)).observe(bar.lastElementChild ?? bar);
    document.fonts.ready.then(() => center(bar));
  }
  const body = node.matches('.toast-body') ? node : node.querySelector('.toast-body');
  if (!body) return;
  const head = body.querySelector('.toast-header');
  head?.removeAttribute('role');
  head?.removeAttribute('tabindex');
  if (!body.classList.contains('error')) return;
  body.setAttribute('role', 'alert');
  body.removeAttribute('aria-live');
}
// What scrolls sideways can be scrolled by keyboard.
function reachable(chart) {
  if (chart.tabIndex === 0) return;
  chart.tabIndex = 0;
  chart.setAttribute('role', 'group');
  chart.setAttribute('aria-label', 'Chart');
}
document.documentElement.dataset.page = location.pathname;
mend(document.documentElement);  // Gradio adds this script when much of the page is there
new MutationObserver(changes => {
  for (const change of changes) {
    if (change.type === 'attributes') mend(change.target);
    else for (const node of change.addedNodes) if (node.nodeType === 1) mend(node);
  }
}).observe(document.documentElement, { childList: true, subtree: true, attributeFilter: ['aria-label'] });

// On a phone the bar is wider than the window; the page that one is on stands in view.
function center(bar) {
  const here = [...bar.querySelectorAll('a')].find(link => link.pathname === location.pathname);
  if (here) bar.scrollLeft = here.offsetLeft - (bar.clientWidth - here.offsetWidth) / 2;
  hint(bar);
}

// Where the bar goes on beyond the window: left, right, both or nowhere.
function hint(bar) {
  const left = bar.scrollLeft > 4, right = bar.scrollLeft + bar.clientWidth < bar.scrollWidth - 4;
  bar.dataset.more = left && right ? 'both' : left ? 'left' : right ? 'right' : 'no';
}

// While an answer is on its way that fills a form, the form takes nothing: what is typed would be overwritten.
let held = 0, before = null, patience;
window.labHold = change => {
  const main = document.querySelector('.gradio-container main') ?? document.querySelector('.gradio-container');
  if (!main) return;
  if (!held && change > 0) before = document.activeElement;
  held = Math.max(0, held + change);
  clearTimeout(patience);
  main.inert = held > 0;
  if (held) {
    main.setAttribute('aria-disabled', 'true');
    patience = setTimeout(() => { held = 0; window.labHold(0); }, 20000);
    return;
  }
  main.removeAttribute('aria-disabled');
  main.dataset.filled = Number(main.dataset.filled ?? 0) + 1;
  if (before?.isConnected && document.activeElement === document.body) before.focus({ preventScroll: true });
  before = null;
};
