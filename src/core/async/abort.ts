import { findError, HawserError, isKind, messageOf } from '../errors.ts';

/**
 * Calls `listener` once, when `signal` aborts; at once when it has aborted already. The function returned stops listening.
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined) return () => {};
  if (signal.aborted) {
    listener();
    return () => {};
  }
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

/** Aborts `child` when `parent` does, until the function returned is called. */
export function linkAbort(parent: AbortSignal | undefined, child: AbortController): () => void {
  return onAbort(parent, () => child.abort(parent?.reason));
}

/** Settles as `work` does, or rejects with the signal's reason as soon as it aborts; `work` goes on then. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  let stopListening = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stopListening = onAbort(signal, () => reject(signal.reason));
  });
  try {
    return await Promise.race([aborted, work]);
  } finally {
    stopListening();
  }
}

/**
 * Runs `work` under a signal that aborts when `signal` does, with a HawserError of kind Canceled or DeadlineExceeded: any other reason,
 * a TimeoutError of the runtime's too, becomes the cause of an error of kind Canceled, as no work may read it as a result of its own.
 */
export async function canceling<T>(
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  const own = cancelSignal(signal);
  try {
    return await work(own.signal);
  } finally {
    own.stop();
  }
}

/** The signal that `canceling` gives its work, for work that goes on after a call, until `stop`. */
export function cancelSignal(signal: AbortSignal | undefined): {
  readonly signal: AbortSignal | undefined;
  stop(): void;
} {
  if (signal === undefined) return { signal, stop: () => {} };
  const own = new AbortController();
  return { signal: own.signal, stop: onAbort(signal, () => own.abort(reasonFor(signal.reason))) };
}

function reasonFor(reason: unknown): unknown {
  return findError(reason) === reason && isKind(reason, 'Canceled', 'DeadlineExceeded')
    ? reason
    : canceled(reason);
}

/** The reason of an abort because of `reason`, which is the failure of other work, and its cause: NotFound there is not NotFound here. */
export function canceled(reason: unknown): HawserError {
  return new HawserError('Canceled', messageOf(reason), { cause: reason });
}

/** For undoing: a fresh signal, of ten seconds, whatever happened to the caller's. */
export function cleanupSignal(): AbortSignal {
  return AbortSignal.timeout(10_000);
}
