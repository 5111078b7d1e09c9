import { onAbort } from '../async/abort.ts';
import { byteStream } from '../async/byte-stream.ts';
import type { Call } from '../ports/call.ts';

/** The first bytes of a stream, and a stream that gives all of it. */
export interface Peeked {
  /** Fewer than asked for when the stream is shorter. */
  readonly head: Uint8Array;
  readonly stream: ReadableStream<Uint8Array>;
}

/** Reads the first `length` (a few) bytes of `source`, which belongs to the result from then on. Aborting cancels `source`. */
export async function peek(
  source: ReadableStream<Uint8Array>,
  length: number,
  call: Call = {},
): Promise<Peeked> {
  const reader = source.getReader();
  const stop = () => void reader.cancel(call.signal?.reason).catch(() => {});
  const stopListening = onAbort(call.signal, stop);
  try {
    const first: Uint8Array[] = [];
    let have = 0;
    let ended = false;
    while (have < length && !ended) {
      call.signal?.throwIfAborted();
      const { done, value } = await reader.read();
      if (done) ended = true;
      else if (value.length > 0) {
        first.push(value);
        have += value.length;
      }
    }
    call.signal?.throwIfAborted();
    return { head: join(first, Math.min(have, length)), stream: resume(first, reader) };
  } catch (err) {
    stop();
    throw err;
  } finally {
    stopListening();
  }
}

function join(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const out = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    const part = chunk.subarray(0, length - at);
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function resume(
  first: Uint8Array[],
  reader: ReadableStreamDefaultReader<Uint8Array>,
): ReadableStream<Uint8Array> {
  return byteStream({
    next: async () => first.shift() ?? (await reader.read()).value,
    cancel: (reason) => reader.cancel(reason),
  });
}
