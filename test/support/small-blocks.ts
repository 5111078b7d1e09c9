/** gzip of many small blocks: the output of a decoder is full at any place in a block, between its last literal and its end, too. */
import zlib from 'node:zlib';
import { concat } from './streams.ts';

/** One member, with a block for the first `first` bytes and for each `size` after. */
export function gzipInBlocks(data: Uint8Array, first: number, size: number): Uint8Array {
  const { Z_HUFFMAN_ONLY, Z_SYNC_FLUSH } = zlib.constants;
  const options = { strategy: Z_HUFFMAN_ONLY, finishFlush: Z_SYNC_FLUSH };
  const blocks: Uint8Array[] = [];
  for (let from = 0, to = first; from < data.length; from = to, to += size)
    blocks.push(zlib.deflateRawSync(data.subarray(from, to), options));
  const trailer = new DataView(new ArrayBuffer(8));
  trailer.setUint32(0, zlib.crc32(data), true);
  trailer.setUint32(4, data.length, true);
  const header = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff);
  const emptyLast = Uint8Array.of(3, 0);
  return concat(header, ...blocks, emptyLast, new Uint8Array(trailer.buffer));
}

/** Bytes whose codes are so short that a decoder finds a literal and the end of a block in one step. */
export function fewLetters(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return 97 + (state >>> 30);
  });
}
