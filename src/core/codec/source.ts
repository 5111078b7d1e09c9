import { byteStream } from '../async/byte-stream.ts';
import type { Call } from '../ports/call.ts';

const EMPTY = new Uint8Array(0);

/** A stream read by position: what is at hand, and a way to ask for more. */
export class ByteSource {
  /** Bytes read and not used yet. */
  chunk: Uint8Array = EMPTY;
  /** Aborts when nobody wants the bytes any more. */
  readonly signal: AbortSignal;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    signal: AbortSignal = new AbortController().signal,
  ) {
    this.#reader = reader;
    this.signal = signal;
  }

  /** Has at least `count` (a few) bytes at hand; false when the stream ends before. */
  async need(count: number): Promise<boolean> {
    while (this.chunk.length < count) {
      const { done, value } = await this.#reader.read();
      if (done) return false;
      this.chunk = this.chunk.length === 0 ? value : concat(this.chunk, value);
    }
    return true;
  }

  /** Drops `count` bytes that are at hand. */
  advance(count: number): void {
    this.chunk = this.chunk.subarray(count);
  }

  /** All that is at hand, which the caller may release. */
  take(): Uint8Array {
    const { chunk } = this;
    this.chunk = EMPTY;
    return chunk;
  }

  /** Puts back the last bytes that were taken, when none are at hand. */
  unread(bytes: Uint8Array): void {
    this.chunk = bytes;
  }

  /** Reads and drops all that is left. */
  async drain(): Promise<void> {
    do this.chunk = EMPTY;
    while (await this.need(1));
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

/** Decodes all of a source: it reads to the end, or throws. Chunks it yields are the reader's to keep. */
export type Decode = (source: ByteSource) => AsyncGenerator<Uint8Array, void, undefined>;

/**
 * A decoder's output as a stream. Cancelling it, a failure and the signal all cancel `source` and end the generator,
 * whose `finally` frees what it holds. One chunk is decoded ahead of the reader.
 */
export function decodedStream(
  source: ReadableStream<Uint8Array>,
  decode: Decode,
  call: Call = {},
): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  const stopped = new AbortController();
  const chunks = decode(new ByteSource(reader, stopped.signal));
  const stop = async (reason: unknown) => {
    stopped.abort(reason);
    await Promise.allSettled([reader.cancel(reason), chunks.return()]);
  };
  const next = async (): Promise<Uint8Array | undefined> => {
    try {
      const { done, value } = await chunks.next();
      return done ? undefined : value;
    } catch (err) {
      await stop(err);
      throw err;
    }
  };
  return byteStream({ next, cancel: stop, ahead: 1, signal: call.signal });
}
