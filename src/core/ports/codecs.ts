import type { Call } from './call.ts';

export type Compression = 'gzip' | 'zstd' | 'identity';

/** `auto`: native where the runtime has it, else portable. */
export type CodecChoice = 'auto' | 'native' | 'portable';

/**
 * A streaming decoder. Reading all of the result reads all of `source` (trailing bytes that decode to nothing
 * included); cancelling it cancels the source. The chunks of `source` become the decoder's, which gives their memory back;
 * those of the result are the reader's. A damaged or truncated stream is DataLoss, a zstd window over 128 MiB
 * ResourceExhausted.
 */
export interface Codec {
  readonly compression: Compression;
  readonly implementation: 'native' | 'portable';
  decode(source: ReadableStream<Uint8Array>, call?: Call): ReadableStream<Uint8Array>;
}

export interface Codecs {
  /** NotImplemented when the choice cannot be had here. */
  get(compression: Compression, choice?: CodecChoice): Promise<Codec>;
}
