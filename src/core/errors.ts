/**
 * Errors are kinds that survive wrapping, bundles, workers and gRPC (containerd's errdefs, plus Canceled and
 * DeadlineExceeded). Recognise one by `kindOf`, never by `instanceof`: two bundles have two classes, but one brand.
 */

export type Kind =
  | 'InvalidArgument'
  | 'NotFound'
  | 'AlreadyExists'
  | 'PermissionDenied'
  | 'ResourceExhausted'
  | 'FailedPrecondition'
  | 'Aborted'
  | 'OutOfRange'
  | 'NotImplemented'
  | 'Internal'
  | 'Unavailable'
  | 'DataLoss'
  | 'Unauthenticated'
  | 'Canceled'
  | 'DeadlineExceeded';

const BRAND: unique symbol = Symbol.for('hawser.error') as never;

/** More about an error: `hint` says what the user can do; `data` is machine-readable detail (status code, digests). */
export interface ErrorDetail {
  readonly hint?: string | undefined;
  readonly cause?: unknown;
  readonly data?: Readonly<Record<string, string | number | boolean>> | undefined;
}

/** `message` says what was being done to what and what went wrong, without a full stop. */
export class HawserError extends Error {
  readonly kind: Kind;
  readonly hint: string | undefined;
  readonly data: Readonly<Record<string, string | number | boolean>> | undefined;

  constructor(kind: Kind, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'HawserError';
    this.kind = kind;
    this.hint = detail.hint;
    this.data = detail.data;
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

/** Wraps an error with what was being done: `${doing}: ${its message}`. Kind and data are kept, and the hint where it has one. */
export function wrap(doing: string, err: unknown, hint?: string): HawserError {
  const known = findError(err);
  return new HawserError(kindOf(err), `${doing}: ${messageOf(err)}`, {
    cause: err,
    hint: hintOf(err) ?? hint,
    data: known?.data,
  });
}

/** Exit codes: 1 for errors, 130 when interrupted (128 + SIGINT). Wrong usage is 2 and is the CLI's own. */
export function exitCodeOf(err: unknown): number {
  return kindOf(err) === 'Canceled' ? 130 : 1;
}

/** What crosses a worker boundary. */
export interface ErrorRecord {
  readonly kind: Kind;
  readonly message: string;
  readonly hint: string | undefined;
  readonly data: HawserError['data'];
  readonly stack: string | undefined;
}

export function toRecord(err: unknown): ErrorRecord {
  return {
    kind: kindOf(err),
    message: messageOf(err),
    hint: hintOf(err),
    data: findError(err)?.data,
    stack: err instanceof Error ? err.stack : undefined,
  };
}

export function fromRecord(record: ErrorRecord): HawserError {
  const err = new HawserError(record.kind, record.message, { hint: record.hint, data: record.data });
  if (record.stack !== undefined) err.stack = record.stack;
  return err;
}
