import type { ApplyTimes } from './workers.ts';

/** Tells apart what the time of a layer's extraction goes into, lap by lap. Milliseconds. */
export class Spent {
  readonly #times: { -readonly [K in keyof ApplyTimes]: number } = {
    wait: 0,
    inflate: 0,
    verify: 0,
    apply: 0,
  };
  readonly #now: () => number;
  #lapStart: number;
  /** Since when the source has been asked for bytes that it has not given. */
  #pendingSince: number | undefined;
  #pending = 0;

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#lapStart = now();
  }

  /** What was done since the last lap. Of `inflate`, the time in which the source had nothing to give is `wait`. */
  lap(stage: 'inflate' | 'verify' | 'apply'): void {
    const now = this.#now();
    this.#settle(now);
    const pending = stage === 'inflate' ? this.#pending : 0;
    this.#times.wait += pending;
    this.#times[stage] += now - this.#lapStart - pending;
    this.#pending = 0;
    this.#lapStart = now;
  }

  /** The source has been asked for bytes (`true`), or has given them. */
  waiting(begins: boolean): void {
    const now = this.#now();
    this.#settle(now);
    this.#pendingSince = begins ? now : undefined;
  }

  times(): ApplyTimes {
    return { ...this.#times };
  }

  /** Counts the waiting up to now; what came before this lap belongs to work that went on meanwhile. */
  #settle(now: number): void {
    if (this.#pendingSince === undefined) return;
    this.#pending += now - Math.max(this.#pendingSince, this.#lapStart);
    this.#pendingSince = now;
  }
}
