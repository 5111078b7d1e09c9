/** What may work when it is tried again, and when. */
import { findError } from '../errors.ts';

const STATUSES: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524]);
const CODES: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'UNEXPECTED_END',
  'CONNECT_TIMEOUT',
  'HEADERS_TIMEOUT',
  'STALLED',
]);
const FIRST_WAIT = 250;
const LONGEST_WAIT = 30_000;
/** A server may ask for more patience, but not for ever. */
const LONGEST_RETRY_AFTER = 120_000;

/** Overload, lost connections and our own limits; never refusals, absence, damage or the caller's abort. */
export function isRetryable(err: unknown): boolean {
  const known = findError(err);
  if (known === undefined || (known.kind !== 'Unavailable' && known.kind !== 'DeadlineExceeded'))
    return false;
  const status = known.data?.status;
  if (typeof status === 'number') return STATUSES.has(status);
  const code = known.data?.code;
  return typeof code === 'string' && CODES.has(code);
}

/** Milliseconds before try number `attempt` + 1: doubling, the upper half of it random. `random` is from 0 to 1. */
export function backoff(attempt: number, random: number): number {
  const ceiling = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.min(attempt, 16));
  return Math.round(ceiling / 2 + (random * ceiling) / 2);
}

/** As `backoff`, but not before the server's Retry-After (at most two minutes). */
export function retryDelay(err: unknown, attempt: number, random: number): number {
  const asked = findError(err)?.data?.retryAfter;
  const least = typeof asked === 'number' ? Math.min(asked, LONGEST_RETRY_AFTER) : 0;
  return Math.max(backoff(attempt, random), least);
}
