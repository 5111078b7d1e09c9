import type { ApplyTimes } from './workers.ts';

/** Adds up the time of a layer's extraction by stage, lap by lap. Milliseconds. */
export class Spent {
  readonly #times: { -readonly [K in keyof ApplyTimes]: number } = {
    wait: 0,
    inflate: 0,
    verify: 0,
    apply: 0,
  };
  readonly #now: () => number;
  #lapStart: number;
  /** When the read that is still waiting for the source began. */
  #pendingSince: number | undefined;
  #pending = 0;

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(now: () => number) {
    this.#now = now;
    this.#lapStart = now();
  }

  /** Counts the time since the last lap for `stage`. Of `inflate`, the time spent waiting for the source is `wait`. */
  lap(stage: 'inflate' | 'verify' | 'apply'): void {
    const now = this.#now();
    this.#settle(now);
    const pending = stage === 'inflate' ? this.#pending : 0;
    this.#times.wait += pending;
    this.#times[stage] += now - this.#lapStart - pending;
    this.#pending = 0;
    this.#lapStart = now;
  }

  /** A read from the source begins to wait (`true`), or has got its bytes. */
  waiting(begins: boolean): void {
    const now = this.#now();
    this.#settle(now);
    this.#pendingSince = begins ? now : undefined;
  }

  times(): ApplyTimes {
    return { ...this.#times };
  }

  /** Counts the waiting up to now. Waiting before this lap went on beside work, and does not count. */
  #settle(now: number): void {
    if (this.#pendingSince === undefined) return;
    this.#pending += now - Math.max(this.#pendingSince, this.#lapStart);
    this.#pendingSince = now;
  }
}
