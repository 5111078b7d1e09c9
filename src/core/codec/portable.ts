import type { Codec, Compression } from '../ports/codecs.ts';
import { FORMATS } from './formats.ts';
import { type Decode, decodedStream } from './source.ts';

/** A codec over one decoder. */
export function codecOf(
  compression: Compression,
  implementation: Codec['implementation'],
  decode: Decode,
): Codec {
  return {
    compression,
    implementation,
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

/** Codecs in JavaScript and WebAssembly. What they need is loaded on first use. */
export async function portableCodec(compression: Compression): Promise<Codec> {
  const decode = compression === 'identity' ? decodeIdentity : await FORMATS[compression].portable();
  return codecOf(compression, 'portable', decode);
}
