// Nodes are built here; text enters the page by textContent alone.
export const $ = (selector, root = document) => root.querySelector(selector);
export const letter = index => 'ABCDEF'[index];

export function node(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    if (name === 'text') made.textContent = value;
    else if (name === 'on') for (const [event, heard] of Object.entries(value)) made.addEventListener(event, heard);
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.filter(child => child != null));
  return made;
}

export const counted = (number, one, many = `${one}s`) => `${number.toLocaleString('en')} ${number === 1 ? one : many}`;

export function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

// What a screen reader is told; the same sentence twice is told twice.
export function say(sentence) {
  const live = $('#live');
  live.textContent = '';
  requestAnimationFrame(() => { live.textContent = sentence; });
}
