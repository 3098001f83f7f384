// Answers on their way to the server. One is kept until the server has said that it is saved.
import * as api from './api.js';

const PAUSES = [500, 1000, 2000, 3000];  // however long the server is away, it is soon noticed that it is back
const HELD_PAUSE = 15_000;
const TAB = Math.random().toString(36).slice(2, 10);
const sound = entry => typeof entry?.key === 'string' && Number.isInteger(entry.revision) && Array.isArray(entry.answer?.groups);

export class Outbox {
  // heard: {saved(reply, entry), stuck(), invalid(), status(status), changed()}; wants(): {have, want}
  constructor(store, wants, heard) {
    Object.assign(this, { store, wants, heard, failures: 0, held: false, running: false, again: false, timer: 0, dead: false });
    addEventListener('online', () => this.flush());
    addEventListener('storage', event => { if (event.key === null || event.key.startsWith(`${store.prefix}out:`)) heard.changed(); });
    document.addEventListener('visibilitychange', () => { if (!document.hidden && this.failures) this.flush(); });
  }

  all() {
    return this.store.names('out:')
      .map(name => { const entry = this.store.get(name, sound); return entry && { ...entry, name }; })
      .filter(Boolean).sort((a, b) => a.at - b.at || a.revision - b.revision);
  }
  get late() { return this.failures > 0 || this.held; }
  calm() { this.failures = 0; this.held = false; }
  waiting() { return this.all().filter(entry => !entry.stuck); }
  stuck() { return this.all().filter(entry => entry.stuck); }

  put(key, revision, answer, card) {
    const name = `out:${key}:${revision}:${TAB}`;
    this.store.set(name, { key, revision, answer, card, at: Date.now() });
    this.heard.changed();
    this.flush();
  }
  drop(entry) { this.store.remove(entry.name); this.heard.changed(); }

  async flush() {
    clearTimeout(this.timer);
    if (this.running) { this.again = true; return; }
    this.running = true;
    let pause = 0;
    try {
      do { this.again = false; pause = await this.alone(() => this.drain()); } while (this.again && !pause);
    } finally {
      this.running = false;
    }
    if (pause) this.timer = setTimeout(() => this.flush(), pause);
    this.heard.changed();
  }

  // One tab sends at a time. Where the browser has no locks both may: the same key and revision is saved once.
  alone(work) {
    return navigator.locks ? navigator.locks.request(`${this.store.prefix}outbox`, work) : work();
  }

  async drain() {
    for (;;) {
      const [entry] = this.waiting();
      if (!entry) this.calm();
      if (!entry || this.dead) return 0;
      const { name, key, revision, answer } = entry;
      const reply = await api.post('answer', { key, revision, ...answer, ...this.wants() });
      const data = reply.data ?? {};
      if (api.worked(reply) && data.saved === true && data.key === key && data.revision === revision) {
        this.calm();
        this.store.remove(name);
        this.heard.saved(data, entry);
      } else if (api.invalid(reply)) {
        this.dead = true;
        this.heard.invalid();
        return 0;
      } else if (api.refused(reply) && data.status && data.status !== 'open') {
        this.held = true;
        this.heard.status(data.status);
        return HELD_PAUSE;
      } else if (api.refused(reply)) {
        const why = reply.code === 409 ? 'changed' : 'refused';
        this.store.set(name, { ...entry, stuck: { why, revision: data.revision ?? revision, error: data.error ?? '' } });
        this.heard.stuck();
      } else {
        this.failures += 1;
        this.heard.changed();
        return PAUSES[Math.min(this.failures, PAUSES.length) - 1];
      }
    }
  }
}
