import type { Codec, Compression } from '../ports/codecs.ts';
import { FORMATS } from './formats.ts';
import { type Decode, decodedStream } from './source.ts';
import type { Windows } from './windows.ts';

/** A codec over one decoder. */
export function codecOf(
  compression: Compression,
  implementation: Codec['implementation'],
  library: string,
  decode: Decode,
): Codec {
  return {
    compression,
    implementation,
    library,
    decode: (source, call) => decodedStream(source, decode, call),
  };
}

/** What is not compressed, as it is. */
export const decodeIdentity: Decode = async function* (source) {
  while (await source.need(1)) {
    const { chunk } = source;
    source.advance(chunk.length);
    yield chunk;
  }
};

/** Codecs in JavaScript and WebAssembly. What they need is loaded on first use. `windows`: as `decodeZstd`'s. */
export async function portableCodec(compression: Compression, windows?: Windows): Promise<Codec> {
  if (compression === 'identity') return codecOf(compression, 'portable', 'none', decodeIdentity);
  const { library, decode } = await FORMATS[compression].portable(windows);
  return codecOf(compression, 'portable', library, decode);
}
