import { HawserError, isKind } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Clock } from '../../core/ports/clock.ts';

/** How long a containerd may be silent, milliseconds. */
export interface Patience {
  /** Between two looks while a call without a time limit runs. */
  readonly every: number;
  /** For the answer to a look. */
  readonly look: number;
  /** For the next message of an answer, and for the answer to one part of a write. */
  readonly message: number;
}

export const PATIENCE: Patience = { every: 30_000, look: 60_000, message: 5 * 60_000 };

/**
 * Watches a containerd while calls without a time limit run, such as the application of a large layer. containerd may take
 * as long as it needs; but one that does not answer a simple question meanwhile (stopped, hung) ends these calls.
 */
export class Liveness {
  readonly #clock: Clock;
  readonly #patience: Patience;
  readonly #ask: (call: Call & { readonly deadline: number }) => Promise<unknown>;
  /** What ends each of the calls. */
  readonly #calls = new Set<(reason: HawserError) => void>();
  #stop = new AbortController();

  /** `ask`: a question that costs containerd nothing. */
  constructor(
    clock: Clock,
    patience: Patience,
    ask: (call: Call & { readonly deadline: number }) => Promise<unknown>,
  ) {
    this.#clock = clock;
    this.#patience = patience;
    this.#ask = ask;
  }

  /** Takes note of a call. `end` is called, with Unavailable, when containerd is silent. The function returned ends the note. */
  join(end: (reason: HawserError) => void): () => void {
    this.#calls.add(end);
    if (this.#calls.size === 1) {
      this.#stop = new AbortController();
      void this.#watch(this.#stop.signal);
    }
    return () => {
      this.#calls.delete(end);
      if (this.#calls.size === 0) this.#stop.abort();
    };
  }

  /** Ends the watch; the calls go on. */
  stop(): void {
    this.#calls.clear();
    this.#stop.abort();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { every, look } = this.#patience;
    try {
      for (;;) {
        await this.#clock.sleep(every, signal);
        await this.#ask({ deadline: look, signal });
      }
    } catch (err) {
      // Other errors are those of the connection, which end the calls by themselves.
      if (signal.aborted || !isKind(err, 'DeadlineExceeded')) return;
      const silent = new HawserError('Unavailable', `containerd has answered nothing for ${look / 1000} s`, {
        hint: 'It is stopped, or hangs: see its log (journalctl -u containerd). What was fetched is kept',
        cause: err,
      });
      for (const end of [...this.#calls]) end(silent);
    }
  }
}
