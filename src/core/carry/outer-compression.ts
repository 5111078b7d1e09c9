/** The compression around an archive, told by its first bytes. */

import { byteStream } from '../async/byte-stream.ts';
import { DETECT_LENGTH, detectCompression, FORMATS } from '../codec/formats.ts';
import { peek } from '../codec/peek.ts';
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Codecs } from '../ports/codecs.ts';
import type { ByteInput } from './tar-entries.ts';

/** An archive may expand to so many bytes, or to so many times its size where that is more. */
const FREE_BYTES: number = 2 ** 30;
const MAX_RATIO = 1000;

/** Formats that hawser does not read, and the program that does. */
const OTHERS: readonly (readonly [magic: readonly number[], program: string])[] = [
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], 'xz'],
  [[0x42, 0x5a, 0x68], 'bzip2'],
  [[0x04, 0x22, 0x4d, 0x18], 'lz4'],
];

/** NotImplemented, with the program to pipe through, for a format that hawser does not read. */
export function checkFormat(head: Uint8Array): void {
  const other = otherFormat(head);
  if (other === undefined) return;
  const [, program] = other;
  throw new HawserError('NotImplemented', `it is compressed with ${program}, which hawser does not read`, {
    hint: `Pipe it: ${program} -dc FILE | hawser import -`,
  });
}

function otherFormat(head: Uint8Array): (typeof OTHERS)[number] | undefined {
  return OTHERS.find(([magic]) => magic.every((byte, at) => head[at] === byte));
}

/** Whether `checkFormat` refuses it. */
export function hasOtherFormat(head: Uint8Array): boolean {
  return otherFormat(head) !== undefined;
}

/** The bytes of an archive out of a stream, which belongs to the result, in whatever compression. Cancel the stream to end early. */
export async function archiveBytes(
  source: ReadableStream<Uint8Array>,
  codecs: Codecs,
  call: Call,
): Promise<{ readonly input: ByteInput; cancel(reason?: unknown): Promise<void> }> {
  const { head, stream } = await peek(source, DETECT_LENGTH, call);
  try {
    checkFormat(head);
    const compression = detectCompression(head);
    if (compression === 'identity') return inputOf(stream);
    const codec = await codecs.get(compression);
    const counted = { bytes: 0 };
    const most = () => Math.max(FREE_BYTES, counted.bytes * MAX_RATIO * FORMATS[compression].expansion);
    return inputOf(codec.decode(counting(stream, counted), call), most);
  } catch (err) {
    await stream.cancel(err).catch(() => {});
    throw err;
  }
}

function counting(
  source: ReadableStream<Uint8Array>,
  counted: { bytes: number },
): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  return byteStream({
    next: async () => {
      const { value } = await reader.read();
      counted.bytes += value?.length ?? 0;
      return value;
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

function inputOf(stream: ReadableStream<Uint8Array>, most: () => number = () => Number.POSITIVE_INFINITY) {
  const reader = stream.getReader();
  let size = 0;
  const input: ByteInput = {
    read: async ({ signal }) => {
      signal?.throwIfAborted();
      const { value } = await reader.read();
      size += value?.length ?? 0;
      if (size > most()) throw bomb(size);
      return value;
    },
  };
  return { input, cancel: async (reason?: unknown) => void (await reader.cancel(reason).catch(() => {})) };
}

function bomb(size: number): HawserError {
  return new HawserError(
    'ResourceExhausted',
    `it expands to more than ${size} bytes, over ${MAX_RATIO} times what was read of it`,
    {
      hint: 'This is how a decompression bomb looks; if you trust it, decompress it first and import the result',
    },
  );
}
