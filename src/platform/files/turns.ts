/** Synchronous operations that let other work of this thread have its turn. */
import type { Call } from '../../core/ports/call.ts';
import { fsError } from '../kernel/fs-error.ts';

export const yielded = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Milliseconds for which operations may follow one another before timers and signals get their turn. */
const TURN = 5;
let turnEnds = 0;

async function takeTurns(): Promise<void> {
  if (performance.now() < turnEnds) return;
  await yielded();
  turnEnds = performance.now() + TURN;
}

/** Runs one operation. An aborted signal stops it from starting. */
export async function attempt<T>(
  doing: string,
  call: Call | undefined,
  work: () => T | Promise<T>,
): Promise<T> {
  call?.signal?.throwIfAborted();
  await takeTurns();
  call?.signal?.throwIfAborted();
  try {
    return await work();
  } catch (err) {
    throw fsError(err, doing);
  }
}
