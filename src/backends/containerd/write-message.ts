/** A WRITE of Content.Write, encoded around bytes that stay where they are. */
import { methodOf } from './codec.ts';
import { WRITE } from './messages.ts';

const { encode } = methodOf('content.v1.Content/Write');

/** Bytes before the content, for the fields before `data`, and the head of `data`: 12 and 6 at the most. */
export const HEAD = 32;
/** Protocol Buffers: field 6 (`data` in proto.ts), of a length that is told. */
const DATA = (6 << 3) | 2;

/**
 * The message that writes the `length` bytes of `buffer` from HEAD on at `offset` of the ingest: a part of `buffer`, of which the bytes before HEAD are
 * changed. So no content is copied, and the buffer can be used again.
 */
export function encodeWrite(buffer: Uint8Array<ArrayBuffer>, length: number, offset: number): Buffer {
  const fields = encode({ action: WRITE, offset });
  const head = [...fields, DATA, ...varint(length)];
  const start = HEAD - head.length;
  buffer.set(head, start);
  return Buffer.from(buffer.buffer, buffer.byteOffset + start, head.length + length);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}
