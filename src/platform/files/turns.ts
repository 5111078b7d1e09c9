/** Synchronous operations that let other work of this thread have its turn. */
import type { Call } from '../../core/ports/call.ts';
import { fsError } from '../kernel/fs-error.ts';
import { monotonic } from '../kernel/monotonic.ts';

export const yielded = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Milliseconds for which operations may follow one another before timers and signals get their turn. */
const TURN = 5;
let turnEnds = 0;

/** Runs one operation, at once unless it is the turn of others. An aborted signal stops it from starting. */
export async function attempt<T>(
  doing: string,
  call: Call | undefined,
  work: () => T | Promise<T>,
): Promise<T> {
  call?.signal?.throwIfAborted();
  if (monotonic() >= turnEnds) {
    await yielded();
    turnEnds = monotonic() + TURN;
    call?.signal?.throwIfAborted();
  }
  try {
    const result = work();
    // Waiting for what is there already costs as much as a small operation.
    return result instanceof Promise ? await result : result;
  } catch (err) {
    throw fsError(err, doing);
  }
}
