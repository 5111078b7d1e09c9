import { onAbort } from '../async/abort.ts';
import { byteStream } from '../async/byte-stream.ts';
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Compression } from '../ports/codecs.ts';

/** As many bytes as `detectCompression` looks at. */
export const DETECT_LENGTH = 8;

/**
 * What the first bytes of a layer say about it, whatever its media type: gzip (RFC 1952: 1f 8b, method 8), zstd
 * (RFC 8878: a frame, or a skippable frame with its whole header), else identity.
 */
export function detectCompression(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b && head[2] === 8) return 'gzip';
  if (head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd) return 'zstd';
  const skippable =
    ((head[0] ?? 0) & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18;
  return skippable && head.length >= 8 ? 'zstd' : 'identity';
}

/** The first bytes of a stream, and a stream that gives all of it. */
export interface Peeked {
  /** Fewer than asked for when the stream is shorter. */
  readonly head: Uint8Array;
  readonly stream: ReadableStream<Uint8Array>;
}

/** Reads `length` bytes (a few) off `source`, which belongs to the result from then on. Aborting cancels `source`. */
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

/** Empty members or frames cost time and give nothing, so their number is limited. */
export function tooMany(format: string, limit: number): HawserError {
  return new HawserError(
    'ResourceExhausted',
    `Cannot decompress ${format} data: it has more than ${limit} members or frames`,
  );
}

/** A stream that is not what its format says. */
export function corrupt(format: string, what: string, cause?: unknown): HawserError {
  return new HawserError('DataLoss', `Cannot decompress ${format} data: ${what}`, {
    cause,
    hint: 'The blob is damaged as it was published, or was not verified; pull it again or ask who made it',
  });
}
