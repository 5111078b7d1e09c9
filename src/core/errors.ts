/**
 * Errors are kinds that survive wrapping, bundles, workers and gRPC (containerd's errdefs, plus Canceled and
 * DeadlineExceeded). Recognise one by `kindOf`, never by `instanceof`: two bundles have two classes, but one brand.
 */

/** What kind of failure an error is, in gRPC's words. */
export type Kind =
  /** An option, a reference or a file of the configuration cannot be right. */
  | 'InvalidArgument'
  /** There is no such image, platform, blob or snapshot. */
  | 'NotFound'
  /** What was to be made is there. */
  | 'AlreadyExists'
  /** The registry or the system does not allow the call. */
  | 'PermissionDenied'
  /** The disk is full, or a limit would be exceeded. */
  | 'ResourceExhausted'
  /** The machine or the store is not in a state for the call: the message says what is missing. */
  | 'FailedPrecondition'
  /** The other side stopped in the middle. */
  | 'Aborted'
  /** A position beyond the end. */
  | 'OutOfRange'
  /** Neither this runtime nor the other side can do that. */
  | 'NotImplemented'
  /** None of the others; may be a bug. */
  | 'Internal'
  /** A server, the network or another process is in the way for now: a later call may succeed. */
  | 'Unavailable'
  /** Bytes are not those that their digest, size or format says. */
  | 'DataLoss'
  /** The registry wants other credentials. */
  | 'Unauthenticated'
  /** The signal of the call was aborted. */
  | 'Canceled'
  /** A limit of time has passed. */
  | 'DeadlineExceeded';

const BRAND: unique symbol = Symbol.for('hawser.error') as never;

/**
 * What ended an exchange with a server, or made its answer useless: the system's name where it has one (`ECONNREFUSED`), else
 * ours. What follows from each is in core/registry/failures.ts. `UNKNOWN`: the message has the runtime's words.
 */
export type ExchangeCode =
  | 'ECONNREFUSED'
  | 'ECONNRESET'
  | 'ECONNABORTED'
  | 'EPIPE'
  | 'ETIMEDOUT'
  | 'ENOTFOUND'
  | 'EAI_AGAIN'
  | 'EHOSTUNREACH'
  | 'ENETUNREACH'
  | 'PROXY'
  | 'ADDRESS_REFUSED'
  | 'TLS'
  | 'CONNECT_RESET'
  | 'CONNECT_TIMEOUT'
  | 'HEADERS_TIMEOUT'
  | 'HEADERS_OVERFLOW'
  | 'HTTP_PROTOCOL'
  | 'UNEXPECTED_END'
  | 'STALLED'
  | 'TOO_SLOW'
  | 'CONTENT_ENCODING'
  | 'WRONG_RANGE'
  | 'NO_RANGE'
  | 'CHANGED'
  | 'SHORT'
  | 'CLOSED'
  | 'UNKNOWN';

/** Why an operation failed, for callers that decide by the reason. Plain data: crosses workers. */
export type Reason =
  /** A system call failed: `EBUSY`. `sandbox`: Deno was not told to allow the call, and the system was not asked. */
  | { readonly type: 'errno'; readonly errno: string; readonly sandbox?: boolean }
  /** `absent`: another host of the same list, the registry itself, lacks the content. */
  | { readonly type: 'exchange'; readonly code: ExchangeCode; readonly absent?: boolean }
  /** A server refused a request. */
  | {
      readonly type: 'status';
      readonly status: number;
      /** The registry's own: `MANIFEST_UNKNOWN`. */
      readonly code?: string | undefined;
      /** Milliseconds (Retry-After). */
      readonly retryAfter?: number | undefined;
      /** As for an exchange. */
      readonly absent?: boolean;
    }
  /** Another writer has the ingest. */
  | { readonly type: 'busy' }
  /** Another process has the database locked. */
  | { readonly type: 'locked' }
  /** Bytes are not of the format that they should be of, whatever is around them. */
  | { readonly type: 'malformed' }
  /** The layer can be applied only with the layers below in view. */
  | { readonly type: 'needs-below' }
  /** Content is not what was said of it: sizes or digests. */
  | { readonly type: 'mismatch'; readonly expected: string | number; readonly actual: string | number }
  /** The user namespace does not map the owner of a file. */
  | {
      readonly type: 'unmapped';
      readonly owner: 'user' | 'group';
      readonly id: number;
      readonly file: string;
    }
  /** Something is mounted in a tree that must not be removed or copied with what is mounted there. */
  | { readonly type: 'mounted'; readonly at: string }
  /** An archive builds upon blobs that are not here. */
  | { readonly type: 'lacks'; readonly digests: readonly string[] }
  /** A tag names another digest than the one that is pinned. */
  | { readonly type: 'moved' }
  /** Whoever decides whether an image may come in has said no. */
  | { readonly type: 'refused' }
  /** The command line was wrong. */
  | { readonly type: 'usage' };

/** More about an error: `hint` says what the user can do; `reason` is for callers that decide by it. */
export interface ErrorDetail {
  /** A sentence for the user, without a full stop. */
  readonly hint?: string | undefined;
  /** The error that led to this one. */
  readonly cause?: unknown;
  /** Plain data. */
  readonly reason?: Reason | undefined;
}

/** `message` says what was being done to what and what went wrong, without a full stop. */
export class HawserError extends Error {
  /** What kind of failure this is. */
  readonly kind: Kind;
  /** What the user can do about the failure, in a sentence. */
  readonly hint: string | undefined;
  /** Why the operation failed, for programs. */
  readonly reason: Reason | undefined;

  /** Makes the error; `detail.cause` becomes its cause. */
  constructor(kind: Kind, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'HawserError';
    this.kind = kind;
    this.hint = detail.hint;
    this.reason = detail.reason;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

function branded(err: object): err is HawserError {
  return BRAND in err;
}

/** The nearest HawserError in the cause chain, if any. At most 32 causes are looked at. */
export function findError(err: unknown): HawserError | undefined {
  let current: unknown = err;
  for (let depth = 0; depth < 32 && current instanceof Object; depth++) {
    if (branded(current)) return current;
    current = (current as Error).cause;
  }
  return undefined;
}

/** The kind of any thrown value: its own or its cause's; aborts and timeouts by name; else Internal. */
export function kindOf(err: unknown): Kind {
  const known = findError(err);
  if (known) return known.kind;
  let current: unknown = err;
  for (let depth = 0; depth < 32 && current instanceof Object; depth++) {
    const name = (current as Error).name;
    if (name === 'AbortError') return 'Canceled';
    if (name === 'TimeoutError') return 'DeadlineExceeded';
    current = (current as Error).cause;
  }
  return 'Internal';
}

/** Whether a thrown value is of one of `kinds`, by `kindOf`. */
export function isKind(err: unknown, ...kinds: readonly Kind[]): boolean {
  return kinds.includes(kindOf(err));
}

/** The result of `work`; undefined when `work` fails with NotFound, or with another of `kinds`. */
export async function ifFound<T>(work: Promise<T>, ...kinds: readonly Kind[]): Promise<T | undefined> {
  try {
    return await work;
  } catch (err) {
    if (isKind(err, 'NotFound', ...kinds)) return undefined;
    throw err;
  }
}

/** The reason of a thrown value, when there is one of this type. */
export function reasonOf<T extends Reason['type']>(
  err: unknown,
  type: T,
): Extract<Reason, { type: T }> | undefined {
  const reason = findError(err)?.reason;
  return reason?.type === type ? (reason as Extract<Reason, { type: T }>) : undefined;
}

/** The system's name of a failed call (`EBUSY`). */
export function errnoOf(err: unknown): string | undefined {
  return reasonOf(err, 'errno')?.errno;
}

export function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err);
}

/** The nearest hint in the cause chain. */
export function hintOf(err: unknown): string | undefined {
  let current: unknown = err;
  for (let depth = 0; depth < 32 && current instanceof Object; depth++) {
    if (branded(current) && current.hint !== undefined) return current.hint;
    current = (current as Error).cause;
  }
  return undefined;
}

/** The message, and the hint behind it: for one line. */
export function withHint(err: unknown): string {
  return [messageOf(err), hintOf(err)].filter((part) => part !== undefined).join('. ');
}

/** Wraps an error with what was being done: `${doing}: ${its message}`. Kind and reason are kept, and the hint where there is one. */
export function wrap(doing: string, err: unknown, hint?: string): HawserError {
  const known = findError(err);
  return new HawserError(kindOf(err), `${doing}: ${messageOf(err)}`, {
    cause: err,
    hint: hintOf(err) ?? hint,
    reason: known?.reason,
  });
}

/** Beside the errors: one of them may be the caller's own, and frozen. */
const noted = new WeakMap<object, string[]>();
/** An error tells no more of what went wrong after it. */
const MAX_NOTES = 10;

/** Adds to an error what went wrong while its consequences were cleaned up: the error stays the error. */
export function addNote(err: unknown, note: string): void {
  if (!(err instanceof Error)) return;
  const notes = noted.get(err) ?? [];
  noted.set(err, notes);
  if (notes.length < MAX_NOTES) notes.push(note);
}

/** Undoes something after `err` and returns `err`, to be thrown; a failure of `undo` becomes a note of `err`. */
export function undone<E>(err: E, undo: () => void): E {
  try {
    undo();
  } catch (failure) {
    addNote(err, messageOf(failure));
  }
  return err;
}

/** The notes of an error and of its causes. */
export function notesOf(err: unknown): readonly string[] {
  const notes: string[] = [];
  let current: unknown = err;
  for (let depth = 0; depth < 32 && current instanceof Object; depth++) {
    notes.push(...(noted.get(current) ?? []));
    current = (current as Error).cause;
  }
  return notes;
}

/** Exit codes: 1 for errors, 130 when interrupted (128 + SIGINT). Wrong usage is 2 and is the CLI's own. */
export function exitCodeOf(err: unknown): number {
  return kindOf(err) === 'Canceled' ? 130 : 1;
}

/** An error as data, for another thread. */
export interface ErrorRecord {
  readonly kind: Kind;
  readonly message: string;
  readonly hint: string | undefined;
  readonly reason: Reason | undefined;
  readonly stack: string | undefined;
}

export function toRecord(err: unknown): ErrorRecord {
  return {
    kind: kindOf(err),
    message: messageOf(err),
    hint: hintOf(err),
    reason: findError(err)?.reason,
    stack: err instanceof Error ? err.stack : undefined,
  };
}

export function fromRecord(record: ErrorRecord): HawserError {
  const err = new HawserError(record.kind, record.message, { hint: record.hint, reason: record.reason });
  if (record.stack !== undefined) err.stack = record.stack;
  return err;
}
