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
  /** What decodes, with its version, in words for the user. */
  readonly library: string;
  decode(source: ReadableStream<Uint8Array>, call?: Call): ReadableStream<Uint8Array>;
}

/** Compresses one stream. Each call returns what has come of it so far; the bytes given may be reused then. */
export interface Compressor {
  write(bytes: Uint8Array): Promise<readonly Uint8Array[]>;
  /** The rest. To be called once, with nothing after. */
  end(): Promise<readonly Uint8Array[]>;
  /** Gives back what the compressor holds, however far it has come. */
  close(): void;
}

export interface Codecs {
  /** The same bytes give the same bytes, on one version of one runtime. NotImplemented when this runtime lacks the format. */
  compressor(format: 'gzip' | 'zstd'): Promise<Compressor>;
  /** NotImplemented when this runtime lacks the choice. */
  get(compression: Compression, choice?: CodecChoice): Promise<Codec>;
}
