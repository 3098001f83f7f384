// Tabs of one annotator tell each other which cards they hold, so that no card is shown in two of them.
export class Tabs {
  constructor(name, mine) {
    this.others = new Map();
    this.mine = mine;
    this.id = Math.random().toString(36).slice(2);
    this.channel = 'BroadcastChannel' in window ? new BroadcastChannel(name) : null;
    if (!this.channel) return;
    this.channel.onmessage = ({ data }) => {
      if (data.keys) this.others.set(data.id, data.keys);
      if (data.asks) this.tell();
    };
    addEventListener('pagehide', () => this.channel.postMessage({ id: this.id, keys: [] }));
    addEventListener('pageshow', () => this.tell());
  }
  tell(asks = false) { this.channel?.postMessage({ id: this.id, keys: this.mine(), asks }); }
  // Resolves when other tabs have had time to answer.
  async ask() { if (!this.channel) return; this.tell(true); await new Promise(done => setTimeout(done, 60)); }
  keys() { return [...this.others.values()].flat(); }
}
