import { byteStream } from '../../core/async/byte-stream.ts';
import { startTimer } from '../../core/async/timer.ts';

/** Time limits for a fetch and its body, for runtimes whose client has none. */

/** Aborts `work` by `stop` with `late()` when it has not settled after `ms`. */
export async function withDeadline<T>(
  ms: number,
  stop: AbortController,
  late: () => Error,
  work: () => Promise<T>,
): Promise<T> {
  const timer = startTimer(ms, () => stop.abort(late()));
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}

export interface BodyLimits {
  /** Longest wait for the next bytes while the reader wants some, in milliseconds. */
  readonly stallTimeout: number;
  readonly stalled: () => Error;
  /** The reader's error for an error of the source. */
  readonly failed: (err: unknown) => unknown;
  /** Once, when the body has ended, failed or been cancelled. */
  readonly done: () => void;
}

/** The same bytes, at the reader's speed. A stall cancels the source. */
export function limitBody(
  source: ReadableStream<Uint8Array>,
  limits: BodyLimits,
): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  const next = async (): Promise<Uint8Array | undefined> => {
    let stalled: Error | undefined;
    const { promise: stall, reject } = Promise.withResolvers<never>();
    const timer = startTimer(limits.stallTimeout, () => {
      stalled = limits.stalled();
      reject(stalled);
      reader.cancel(stalled).catch(() => {});
    });
    try {
      return (await Promise.race([stall, reader.read()])).value;
    } catch (err) {
      throw stalled ?? limits.failed(err);
    } finally {
      clearTimeout(timer);
    }
  };
  return byteStream({
    next,
    cancel: (reason) => reader.cancel(reason).catch(() => {}),
    close: limits.done,
  });
}
