// Counts what an answer costs: seconds of work, clicks and keys since the answer before.

const LONGEST_PAUSE_MS = 60000;  // a longer one counts as this much

export class Meter {
  constructor(target = document) {
    this.reset();
    this.last = performance.now();
    target.addEventListener('keydown', event => { this.tick(); if (!event.repeat) this.keys += 1; }, true);
    target.addEventListener('pointerdown', () => { this.tick(); this.clicks += 1; }, true);
    for (const kind of ['pointermove', 'wheel']) target.addEventListener(kind, () => this.tick(), { passive: true });
  }

  reset() { this.milliseconds = 0; this.clicks = 0; this.keys = 0; }

  tick() {
    const now = performance.now();
    this.milliseconds += Math.min(now - this.last, LONGEST_PAUSE_MS);
    this.last = now;
  }

  // What was counted since the last call.
  take() {
    this.tick();
    const cost = { seconds: Math.round(this.milliseconds) / 1000, clicks: this.clicks, keys: this.keys };
    this.reset();
    return cost;
  }
}
