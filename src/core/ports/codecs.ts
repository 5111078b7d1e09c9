import type { Call } from './call.ts';

export type Compression = 'gzip' | 'zstd' | 'identity';

/** `auto`: native where the runtime has the codec, else portable. */
export type CodecChoice = 'auto' | 'native' | 'portable';

/**
 * A streaming decoder. Reading the whole result reads the whole `source`, with trailing bytes that decode to nothing;
 * cancelling the result cancels `source`. The decoder owns the chunks of `source` and releases their memory; the reader
 * owns those of the result. A damaged or truncated stream is DataLoss, a zstd window over 128 MiB ResourceExhausted.
 */
export interface Codec {
  readonly compression: Compression;
  readonly implementation: 'native' | 'portable';
  decode(source: ReadableStream<Uint8Array>, call?: Call): ReadableStream<Uint8Array>;
}

export interface Codecs {
  /** NotImplemented when this runtime lacks the choice. */
  get(compression: Compression, choice?: CodecChoice): Promise<Codec>;
}
