// Dragging a candidate's letter into a place, by mouse, pen or finger.
const FAR = 5;  // pixels before a press becomes a drag

// heard: {dropped(one, at, 'before' | 'tie' | 'after' | 'place'), ties()}
export function draggable(root, heard) {
  let drag = null, ended = -Infinity;

  function target(x, y) {
    const slot = document.elementFromPoint(x, y)?.closest('[data-at]');
    if (!slot) return null;
    if (slot.dataset.at === 'pool') return { slot, at: null, where: 'out' };
    const box = slot.getBoundingClientRect(), part = (x - box.left) / box.width;
    const alone = !slot.querySelector(`[data-one]:not([data-one="${drag.one}"])`);
    const edge = heard.ties() ? 0.27 : 0.5;
    const where = alone ? 'place' : part < edge ? 'before' : part >= 1 - edge ? 'after' : 'tie';
    return { slot, at: Number(slot.dataset.at), where };
  }
  function mark(found) {
    for (const old of document.querySelectorAll('[data-drop]')) delete old.dataset.drop;
    if (found) found.slot.dataset.drop = found.where;
  }
  function end(drop) {
    if (!drag) return;
    const { one, ghost, found } = drag;
    ghost?.remove();
    mark(null);
    document.body.classList.remove('dragging');
    drag = null;
    if (!ghost) return;
    ended = performance.now();
    if (drop && found) heard.dropped(one, found.at, found.where);
  }

  root.addEventListener('pointerdown', event => {
    const grip = event.target.closest('[data-one]');
    if (!grip || event.button || document.body.dataset.kind !== 'ranking') return;
    drag = { one: Number(grip.dataset.one), id: event.pointerId, x: event.clientX, y: event.clientY, grip, ghost: null, found: null };
  });
  root.addEventListener('pointermove', event => {
    if (!drag || event.pointerId !== drag.id) return;
    if (!drag.ghost) {
      if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < FAR) return;
      drag.ghost = document.createElement('div');
      drag.ghost.className = 'chip ghost-chip';
      drag.ghost.textContent = drag.grip.textContent;
      document.body.append(drag.ghost);
      document.body.classList.add('dragging');
    }
    event.preventDefault();
    drag.ghost.style.translate = `${event.clientX - 16}px ${event.clientY - 16}px`;
    drag.found = target(event.clientX, event.clientY);
    mark(drag.found);
  });
  addEventListener('pointerup', event => { if (drag?.id === event.pointerId) end(true); });
  addEventListener('pointercancel', event => { if (drag?.id === event.pointerId) end(false); });
  addEventListener('keydown', event => { if (event.key === 'Escape') end(false); });
  // A drag that ends where it began is no click.
  addEventListener('click', event => { if (performance.now() - ended < 50) event.stopPropagation(); }, true);
}
