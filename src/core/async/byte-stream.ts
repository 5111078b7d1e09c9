import { onAbort } from './abort.ts';
import { closingAfter } from './cleanup.ts';

/** Where the bytes of a stream come from. */
export interface Pulls {
  /** The next bytes; undefined at the end. Never called while an earlier call runs. */
  next(): Promise<Uint8Array | undefined>;
  /** Called once when the reader cancels or the signal aborts: makes a `next` that is running end soon. */
  cancel?(reason: unknown): void | Promise<void>;
  /** Called once when no `next` runs any more: at the end, after a failure, after `cancel`. Gives back what is held. */
  close?(): void | Promise<void>;
  /** How many chunks are asked for before the reader wants them. Default: 0. */
  readonly ahead?: number;
  /** Errors the stream with its reason as soon as it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/** A stream of what `next` gives, at the reader's speed. An error of `next` is the stream's. */
export function byteStream(pulls: Pulls): ReadableStream<Uint8Array> {
  const source = new PulledSource(pulls);
  return new ReadableStream(source, { highWaterMark: pulls.ahead ?? 0 });
}

class PulledSource implements UnderlyingDefaultSource<Uint8Array> {
  readonly #pulls: Pulls;
  #running: Promise<unknown> = Promise.resolve();
  #stopListening = (): void => {};
  #over = false;

  constructor(pulls: Pulls) {
    this.#pulls = pulls;
  }

  start(out: ReadableStreamDefaultController<Uint8Array>): void {
    const { signal } = this.#pulls;
    this.#stopListening = onAbort(signal, () => {
      out.error(signal?.reason);
      this.cancel(signal?.reason).catch(() => {});
    });
  }

  async pull(out: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const next = this.#pulls.next();
    this.#running = next;
    try {
      const bytes = await next;
      if (this.#over) return;
      if (bytes !== undefined) return out.enqueue(bytes);
      const closing = this.#end();
      if (closing !== undefined) await closing;
      out.close();
    } catch (err) {
      if (this.#over) throw err;
      await Promise.resolve(this.#end()).catch(() => {});
      throw err;
    }
  }

  async cancel(reason: unknown): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    this.#stopListening();
    await closingAfter(
      async () => await this.#pulls.cancel?.(reason),
      async () => {
        await this.#running.catch(() => {});
        await this.#pulls.close?.();
      },
    );
  }

  #end(): void | Promise<void> {
    this.#over = true;
    this.#stopListening();
    return this.#pulls.close?.();
  }
}

/** A stream of bytes that are at hand. */
export function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(out) {
      if (bytes.length > 0) out.enqueue(bytes);
      out.close();
    },
  });
}

/** The first bytes of a stream, whose rest is given up. */
export function firstOf(stream: ReadableStream<Uint8Array>, length: number): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  let left = length;
  const next = async (): Promise<Uint8Array | undefined> => {
    const bytes = left > 0 ? (await reader.read()).value?.subarray(0, left) : undefined;
    left -= bytes?.length ?? 0;
    return bytes;
  };
  return byteStream({
    next,
    cancel: (reason) => reader.cancel(reason),
    close: () => reader.cancel('no more is wanted'),
  });
}

/** The same bytes; `close` runs once, when the stream has ended, failed or been cancelled, and `signal` errors it with its reason. */
export function closingStream(
  stream: ReadableStream<Uint8Array>,
  close: () => Promise<void>,
  signal: AbortSignal | undefined,
): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  return byteStream({
    next: async () => (await reader.read()).value,
    cancel: (reason) => reader.cancel(reason),
    close,
    signal,
  });
}
