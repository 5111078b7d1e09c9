import type { Clock } from '../ports/clock.ts';

/** Milliseconds without a sign of life after which the user is told. */
const TELL_AFTER = 5_000;

/** Watches whether another process goes on: it may be stopped (SIGSTOP, a frozen cgroup) without being dead. */
export class Idle<T> {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #limit: number;
  readonly #tell: (seconds: number, left: number) => void;
  #sign: T | undefined;
  /** The time of the last progress. */
  #since: number;
  #told = false;

  /**
   * `limit`: milliseconds without progress after which the process counts as stopped. `tell` is called once: the process has done nothing
   * for some seconds, and counts as stopped after `left` more milliseconds.
   */
  constructor(clock: Pick<Clock, 'monotonic'>, limit: number, tell: (seconds: number, left: number) => void) {
    this.#clock = clock;
    this.#limit = limit;
    this.#tell = tell;
    this.#since = clock.monotonic();
  }

  /** `sign`: changes as long as the process goes on. False: the process has stopped. */
  goesOn(sign: T): boolean {
    const now = this.#clock.monotonic();
    if (sign !== this.#sign) this.#since = now;
    this.#sign = sign;
    const idle = now - this.#since;
    if (idle >= Math.min(TELL_AFTER, this.#limit) && !this.#told) {
      this.#told = true;
      this.#tell(Math.round(idle / 1000), Math.max(0, this.#limit - idle));
    }
    return idle < this.#limit;
  }
}
