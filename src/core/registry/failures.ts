/** The one table of what follows from a failed exchange: whether it is retried, and what becomes of its host. */
import { type ExchangeCode, findError, type Reason, reasonOf } from '../errors.ts';

interface Consequence {
  /**
   * `again`: another try may succeed. `doubtful`: nothing was reached, and a name or an address that is wrong looks the same
   * as one that is down for a moment: few tries. `never`: another try ends in the same way.
   */
  readonly retry: 'again' | 'doubtful' | 'never';
  /** No connection came about, so the next request would end in the same way: the host is asked after all others. */
  readonly demotes?: boolean;
  /** With Retry-After, all requests to the origin wait (RFC 9110 10.2.3). */
  readonly coolsDown?: boolean;
}

const NEVER: Consequence = { retry: 'never' };
const AGAIN: Consequence = { retry: 'again' };
const NO_CONNECTION: Consequence = { retry: 'again', demotes: true };
const NOT_REACHED: Consequence = { retry: 'doubtful', demotes: true };
const BUSY: Consequence = { retry: 'again', coolsDown: true };

const BY_CODE: Readonly<Record<ExchangeCode, Consequence>> = {
  ECONNREFUSED: NOT_REACHED,
  ENOTFOUND: NOT_REACHED,
  EAI_AGAIN: NOT_REACHED,
  EHOSTUNREACH: NOT_REACHED,
  ENETUNREACH: NOT_REACHED,
  PROXY: NOT_REACHED,
  ETIMEDOUT: NO_CONNECTION,
  CONNECT_RESET: NO_CONNECTION,
  CONNECT_TIMEOUT: NO_CONNECTION,
  TLS: { retry: 'never', demotes: true },
  ECONNRESET: AGAIN,
  ECONNABORTED: AGAIN,
  EPIPE: AGAIN,
  UNEXPECTED_END: AGAIN,
  HEADERS_TIMEOUT: AGAIN,
  STALLED: AGAIN,
  TOO_SLOW: AGAIN,
  ADDRESS_REFUSED: NEVER,
  HTTP_PROTOCOL: NEVER,
  HEADERS_OVERFLOW: NEVER,
  CONTENT_ENCODING: NEVER,
  WRONG_RANGE: NEVER,
  NO_RANGE: NEVER,
  CHANGED: NEVER,
  SHORT: NEVER,
  CLOSED: NEVER,
  UNKNOWN: NEVER,
};

/** Statuses that are not here end the question. 520 to 524 are Cloudflare's words for a server that it cannot reach. */
const BY_STATUS: ReadonlyMap<number, Consequence> = new Map([
  ...[408, 429, 500, 502, 503, 504].map((status) => [status, BUSY] as const),
  ...[520, 521, 522, 523, 524].map((status) => [status, AGAIN] as const),
]);

function consequenceOf(reason: Reason | undefined): Consequence {
  if (reason?.type === 'status') return BY_STATUS.get(reason.status) ?? NEVER;
  return reason?.type === 'exchange' ? BY_CODE[reason.code] : NEVER;
}

function consequence(err: unknown): Consequence {
  const known = findError(err);
  return known?.kind === 'Unavailable' || known?.kind === 'DeadlineExceeded'
    ? consequenceOf(known.reason)
    : NEVER;
}

/** Overload, lost connections and our own limits; never refusals, absence, damage or the caller's abort. */
export function isRetryable(err: unknown): boolean {
  return consequence(err).retry !== 'never';
}

/** Likely wrong rather than down for a moment: nothing was reached; or a mirror failed, and the registry itself lacks the content. */
export function isDoubtful(err: unknown): boolean {
  return isAbsent(err) || consequenceOf(findError(err)?.reason).retry === 'doubtful';
}

/** A mirror failed, and the registry itself lacks the content. */
export function isAbsent(err: unknown): boolean {
  return (reasonOf(err, 'exchange')?.absent ?? reasonOf(err, 'status')?.absent) === true;
}

/** The code of a failure to connect; undefined for other failures, which say nothing about the next request. */
export function failedConnection(err: unknown): ExchangeCode | undefined {
  const reason = reasonOf(err, 'exchange');
  return reason !== undefined && consequenceOf(reason).demotes === true ? reason.code : undefined;
}

/** Whether Retry-After of an answer with this status is heeded. */
export function coolsDown(status: number): boolean {
  return BY_STATUS.get(status)?.coolsDown === true;
}

/** The code of a failed exchange, or the registry's own code (`MANIFEST_UNKNOWN`). */
export function codeOf(err: unknown): string | undefined {
  return reasonOf(err, 'exchange')?.code ?? reasonOf(err, 'status')?.code;
}

/** The status of the answer that was an error. */
export function statusOf(err: unknown): number | undefined {
  return reasonOf(err, 'status')?.status;
}
