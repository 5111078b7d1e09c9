/** Time limits over what a fetch gives, for runtimes whose own client has none. */

/** Rejects with `late()` when `work` has not settled after `ms`; the work itself is then aborted with the same error. */
export async function withDeadline<T>(
  ms: number,
  stop: AbortController,
  late: () => Error,
  work: () => Promise<T>,
): Promise<T> {
  const timer = setTimeout(() => stop.abort(late()), ms);
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
  /** Turns what the source threw into what the reader gets. */
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
  let timer: ReturnType<typeof setTimeout> | undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(out) {
        let stalled: Error | undefined;
        timer = setTimeout(() => {
          stalled = limits.stalled();
          out.error(stalled);
          limits.done();
          reader.cancel(stalled).catch(() => {});
        }, limits.stallTimeout);
        try {
          const { done, value } = await reader.read();
          if (stalled !== undefined) return;
          if (!done) return out.enqueue(value);
          limits.done();
          out.close();
        } catch (err) {
          if (stalled !== undefined) return;
          limits.done();
          throw limits.failed(err);
        } finally {
          clearTimeout(timer);
        }
      },
      async cancel(reason) {
        clearTimeout(timer);
        limits.done();
        await reader.cancel(reason).catch(() => {});
      },
    },
    { highWaterMark: 0 },
  );
}
