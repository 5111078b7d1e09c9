/** What HTTP calls deflate: zlib's wrapper (RFC 1950), as RFC 9110 8.4.1.2 has it, or none (RFC 1951), as many send it. */
import { corrupt } from './failures.ts';
import { pakoEngine } from './gzip-portable.ts';
import type { ByteSource } from './source.ts';

/** One stream. What follows is ignored; so is zlib's checksum (Adler-32), for the caller has a digest. */
export async function* decodeDeflate(source: ByteSource): AsyncGenerator<Uint8Array, void, undefined> {
  if ((await source.need(2)) && isWrapped(source.chunk)) source.advance(2);
  const inflater = pakoEngine.open();
  try {
    for (let ended = false; !ended; ) {
      if (!(await source.need(1))) throw corrupt('deflate', 'it ends in the middle');
      ended = (yield* inflater.decode(source.take())) !== undefined;
    }
    await source.drain();
  } finally {
    inflater.close();
  }
}

/** RFC 1950 2.2: the method is 8 and the two bytes are a multiple of 31. No encoder begins a bare stream like that. */
function isWrapped([method = 0, flags = 0]: Uint8Array): boolean {
  return (method & 0x0f) === 8 && (method * 256 + flags) % 31 === 0;
}
