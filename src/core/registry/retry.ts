/** When the next try is. */
import { reasonOf } from '../errors.ts';

const FIRST_WAIT = 250;
const LONGEST_WAIT = 30_000;

/** The wait that the server asked for with Retry-After, in milliseconds. */
export function askedWait(err: unknown): number | undefined {
  return reasonOf(err, 'status')?.retryAfter;
}

/** Milliseconds before try number `attempt` + 1: doubling, the upper half of it random. `random` is from 0 to 1. */
export function backoff(attempt: number, random: number): number {
  const ceiling = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.min(attempt, 16));
  return Math.round(ceiling / 2 + (random * ceiling) / 2);
}
