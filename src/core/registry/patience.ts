import { findError, HawserError, hintOf, messageOf } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import { codeOf, isDoubtful, isRetryable } from './failures.ts';
import { askedWait, backoff } from './retry.ts';

/** How long a failure that may pass is tried again. */
export interface RetryOptions {
  /** Tries after the first without progress, in a row. 0: never again. Default: as many as fit into `time`. */
  readonly tries?: number | undefined;
  /** Milliseconds without progress, waits that a registry asks for included. Default 5 minutes. */
  readonly time?: number | undefined;
  /** Bytes a second: less is no progress. Default 100. */
  readonly minSpeed?: number | undefined;
  /** Milliseconds without a byte after which another process that fetches the same blob counts as stopped. Default 60 s. */
  readonly stall?: number | undefined;
}

export const DEFAULT_TIME = 300_000;
export const DEFAULT_MIN_SPEED = 100;
/** For a host that was never reached, unless options say otherwise: the name is more likely wrong than the host down. */
const DOUBTFUL_TRIES = 2;

/** The budget for one question, or one range of a blob. Progress makes the budget new. */
export class Patience {
  readonly #clock: Clock;
  readonly #tries: number;
  readonly #doubtfulTries: number;
  readonly #time: number;
  readonly #minSpeed: number;
  readonly #began: number;
  #known: boolean;
  #failed = 0;
  /** The times of the last progress and of the last failure. */
  #since: number;
  #last: number;

  /** `known`: the registry has been reached before. */
  constructor(clock: Clock, options: RetryOptions = {}, known = false) {
    this.#clock = clock;
    const chosen = options.tries !== undefined || options.time !== undefined;
    this.#tries = options.tries ?? Number.POSITIVE_INFINITY;
    this.#doubtfulTries = chosen ? this.#tries : DOUBTFUL_TRIES;
    this.#time = options.time ?? DEFAULT_TIME;
    this.#minSpeed = options.minSpeed ?? DEFAULT_MIN_SPEED;
    this.#known = known;
    this.#began = this.#since = this.#last = clock.monotonic();
  }

  /** The registry has answered. */
  reached(): void {
    this.#known = true;
  }

  /**
   * After a failure, and `gained` bytes since the failure before: milliseconds to wait before another try. Throws the failure when it
   * does not pass, or, with the number of tries, when the budget is used up.
   */
  next(err: unknown, gained: number): number {
    if (!isRetryable(err)) throw err;
    const now = this.#clock.monotonic();
    const enough = (this.#minSpeed * (now - this.#last)) / 1000;
    if (gained > 0 && gained >= enough && codeOf(err) !== 'TOO_SLOW') {
      this.#failed = 0;
      this.#since = now;
      this.#known = true;
    }
    this.#last = now;
    const wait = backoff(this.#failed++, Math.random());
    const tries = isDoubtful(err) && !this.#known ? this.#doubtfulTries : this.#tries;
    const until = now - this.#since + Math.max(wait, askedWait(err) ?? 0);
    if (this.#failed > tries || until > this.#time) throw this.#givenUp(err, now);
    return wait;
  }

  #givenUp(err: unknown, now: number): unknown {
    if (this.#failed < 2) return err;
    const seconds = Math.round((now - this.#began) / 1000);
    return new HawserError(
      findError(err)?.kind ?? 'Unavailable',
      `${messageOf(err)} (given up after ${this.#failed} tries without progress in ${seconds} s)`,
      { hint: hintOf(err), cause: err, reason: findError(err)?.reason },
    );
  }
}

/** Does `work` until it succeeds or patience ends. Calls `onWait` before each wait. */
export async function persist<T>(
  deps: { readonly clock: Clock; readonly retry: RetryOptions | undefined },
  call: Call | undefined,
  onWait: (milliseconds: number, err: unknown) => void,
  work: () => Promise<T>,
): Promise<T> {
  const patience = new Patience(deps.clock, deps.retry);
  for (;;) {
    try {
      return await work();
    } catch (err) {
      call?.signal?.throwIfAborted();
      const wait = patience.next(err, 0);
      onWait(wait, err);
      await deps.clock.sleep(wait, call?.signal);
    }
  }
}
