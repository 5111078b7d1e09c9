/** The functions of scripts/static/decoder.c, as JavaScript calls them. */
import type { Signature } from '../kernel/libc.ts';
import { loadFunctions, nodeFfi } from '../kernel/node-ffi.ts';

/** By decoder.c, which says what each does. A decoder is the address of one. */
export interface DecoderFunctions {
  hawser_decoder_open(format: number): bigint;
  hawser_decoder_give(decoder: bigint, bytes: Uint8Array, length: number, last: number): number;
  hawser_decoder_take(decoder: bigint, into: Uint8Array, ms: number): bigint | number;
  hawser_decoder_finish(decoder: bigint, into: Uint8Array): number;
  hawser_decoder_close(decoder: bigint): void;
  hawser_inflate_small(
    bytes: Uint8Array,
    length: number,
    into: Uint8Array,
    capacity: number,
    sums: Uint8Array,
  ): bigint | number;
}

export const DECODER_SIGNATURES: { readonly [K in keyof DecoderFunctions]: Signature } = {
  hawser_decoder_open: { args: ['i32'], result: 'u64' },
  hawser_decoder_give: { args: ['u64', 'buffer', 'u32', 'i32'], result: 'u32' },
  hawser_decoder_take: { args: ['u64', 'buffer', 'u32'], result: 'i64' },
  hawser_decoder_finish: { args: ['u64', 'buffer'], result: 'u32' },
  hawser_decoder_close: { args: ['u64'], result: 'void' },
  hawser_inflate_small: { args: ['buffer', 'u32', 'buffer', 'u32', 'buffer'], result: 'i64' },
};

/** Undefined when this program is not the static executable. */
export function linkedFunctions(): DecoderFunctions | undefined {
  try {
    const ffi = nodeFfi();
    if (ffi === undefined) return undefined;
    return loadFunctions(ffi, null, DECODER_SIGNATURES) as unknown as DecoderFunctions;
  } catch {
    return undefined;
  }
}
