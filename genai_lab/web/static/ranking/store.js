// What this browser keeps for one annotator's page: answers on their way, drafts and small settings.
// Every record has a name of its own, so that two tabs never write over each other's records.
const FAULTS = {
  absent: 'This browser keeps nothing for this page (a private window, or storage is blocked). Answers go to the server as usual; do not close the page while one is not saved.',
  full: 'This browser’s storage is full. Answers go to the server as usual; do not close the page while one is not saved.',
  corrupt: 'Something that this browser had kept could not be read and was put aside. Answers that the server has are safe.',
};

export class Store {
  constructor(prefix, onfault) {
    this.prefix = prefix;
    this.onfault = onfault;
    this.memory = new Map();  // what could not be written, or everything where there is no storage
    try {
      const probe = `${prefix}probe`;
      window.localStorage.setItem(probe, '1');
      window.localStorage.removeItem(probe);
      this.disk = window.localStorage;
    } catch (error) {
      this.disk = error?.name === 'QuotaExceededError' ? window.localStorage : null;
      this.fault(this.disk ? 'full' : 'absent');
    }
  }

  fault(kind) { this.onfault(kind, FAULTS[kind]); }

  names(kind) {
    const names = new Set([...this.memory.keys()].filter(name => name.startsWith(kind)));
    for (let n = 0; n < (this.disk?.length ?? 0); n++) {
      const full = this.disk.key(n);
      if (full?.startsWith(this.prefix + kind)) names.add(full.slice(this.prefix.length));
    }
    return [...names];
  }

  get(name, sound = () => true) {
    if (this.memory.has(name)) return this.memory.get(name);
    const raw = this.disk?.getItem(this.prefix + name) ?? null;
    if (raw === null) return null;
    try {
      const value = JSON.parse(raw);
      if (sound(value)) return value;
    } catch { /* put aside below */ }
    this.remove(name);
    try { this.disk.setItem(`${this.prefix}broken:${name}`, raw); } catch { /* no room to keep it */ }
    this.fault('corrupt');
    return null;
  }

  set(name, value) {
    const text = JSON.stringify(value);
    for (const attempt of ['as it is', 'without drafts']) {
      try {
        this.disk.setItem(this.prefix + name, text);
        this.memory.delete(name);
        return true;
      } catch {
        if (!this.disk || name.startsWith('draft:')) break;
        if (attempt === 'as it is') for (const kind of ['broken:', 'draft:']) this.names(kind).forEach(one => this.demote(one));
      }
    }
    this.memory.set(name, value);
    if (this.disk) this.fault('full');
    return false;
  }

  // Drafts make room for answers, and stay in this tab's memory.
  demote(name) {
    const value = name.startsWith('draft:') ? this.get(name) : null;
    this.remove(name);
    if (value) this.memory.set(name, value);
  }

  remove(name) {
    this.memory.delete(name);
    this.disk?.removeItem(this.prefix + name);
  }
}
