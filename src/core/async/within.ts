import type { HawserError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import { linkAbort } from './abort.ts';

export interface Limit {
  readonly clock: Clock;
  readonly milliseconds: number;
  /** The reason of the abort once they have passed. */
  readonly late: HawserError;
}

/** Runs `work` under a signal that aborts when `signal` does, or when the time has passed. */
export async function within<T>(
  { clock, milliseconds, late }: Limit,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const [own, timer] = [new AbortController(), new AbortController()];
  const stopListening = linkAbort(signal, own);
  clock.sleep(milliseconds, timer.signal).then(
    () => own.abort(late),
    () => {},
  );
  try {
    return await work(own.signal);
  } finally {
    stopListening();
    timer.abort();
  }
}
