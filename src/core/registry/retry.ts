/** What may work when it is tried again, and when. */
import { findError } from '../errors.ts';

const STATUSES: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524]);
/** Nothing was reached: a name or an address that is wrong looks the same as one that is down for a moment. */
const UNREACHABLE: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'PROXY',
]);
const CODES: ReadonlySet<string> = new Set([
  ...UNREACHABLE,
  'CONNECT_RESET',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'UNEXPECTED_END',
  'CONNECT_TIMEOUT',
  'HEADERS_TIMEOUT',
  'STALLED',
  'TOO_SLOW',
]);
const FIRST_WAIT = 250;
const LONGEST_WAIT = 30_000;

/** Overload, lost connections and our own limits; never refusals, absence, damage or the caller's abort. */
export function isRetryable(err: unknown): boolean {
  const known = findError(err);
  if (known === undefined || (known.kind !== 'Unavailable' && known.kind !== 'DeadlineExceeded'))
    return false;
  const status = known.data?.status;
  if (typeof status === 'number') return STATUSES.has(status);
  const code = codeOf(err);
  return code !== undefined && CODES.has(code);
}

/**
 * Likely wrong rather than down for a moment: there was no connection, nor a name to connect to; or a mirror failed, and the registry
 * itself has no such thing (`data.absent`).
 */
export function isDoubtful(err: unknown): boolean {
  const code = codeOf(err);
  return (code !== undefined && UNREACHABLE.has(code)) || findError(err)?.data?.absent === true;
}

export function codeOf(err: unknown): string | undefined {
  const code = findError(err)?.data?.code;
  return typeof code === 'string' ? code : undefined;
}

/** What the server asked for with Retry-After, in milliseconds. */
export function askedWait(err: unknown): number | undefined {
  const asked = findError(err)?.data?.retryAfter;
  return typeof asked === 'number' ? asked : undefined;
}

/** Milliseconds before try number `attempt` + 1: doubling, the upper half of it random. `random` is from 0 to 1. */
export function backoff(attempt: number, random: number): number {
  const ceiling = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.min(attempt, 16));
  return Math.round(ceiling / 2 + (random * ceiling) / 2);
}
