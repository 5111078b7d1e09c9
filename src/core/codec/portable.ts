import type { Codec, Compression } from '../ports/codecs.ts';
import { decodeGzip } from './gzip-members.ts';
import { decodedStream } from './source.ts';
import { decodeZstd } from './zstd-decode.ts';

/** What is not compressed, as it is; stops at once when the signal aborts. */
export function identityCodec(implementation: Codec['implementation']): Codec {
  return {
    compression: 'identity',
    implementation,
    decode: (source, call) =>
      decodedStream(
        source,
        async function* (bytes) {
          while (await bytes.need(1)) {
            const { chunk } = bytes;
            bytes.advance(chunk.length);
            yield chunk;
          }
        },
        call,
      ),
  };
}

/** Codecs in JavaScript and WebAssembly. What they need is loaded on first use. */
export async function portableCodec(compression: Compression): Promise<Codec> {
  const implementation = 'portable';
  if (compression === 'gzip') {
    const { pakoEngine } = await import('./gzip-portable.ts');
    return {
      compression,
      implementation,
      decode: (source, call) => decodedStream(source, (bytes) => decodeGzip(bytes, pakoEngine), call),
    };
  }
  if (compression === 'zstd') {
    const { wasmZstdEngine } = await import('./zstd-portable.ts');
    const engine = await wasmZstdEngine();
    return {
      compression,
      implementation,
      decode: (source, call) => decodedStream(source, (bytes) => decodeZstd(bytes, engine), call),
    };
  }
  return identityCodec(implementation);
}
