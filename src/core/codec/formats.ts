/**
 * The formats that layers are compressed in, a row for each. One more takes its name in `Compression` (core/ports/codecs.ts), a
 * row here, its decoder beside this file, and where a runtime has a decoder of its own a row in
 * platform/codecs/native-codecs.ts.
 */
import type { Compression } from '../ports/codecs.ts';
import { decodeGzip, type GzipEngine } from './gzip-members.ts';
import type { Decode } from './source.ts';
import type { Windows } from './windows.ts';
import { decodeZstd } from './zstd-decode.ts';

export type FormatName = Exclude<Compression, 'identity'>;

export interface Format {
  /** Whether a layer that begins with these bytes is in this format. */
  begins(head: Uint8Array): boolean;
  /** Such data may expand to so many times what the limit allows for one compressed byte: formats differ in the best case. */
  readonly expansion: number;
  /** The decoder in JavaScript or WebAssembly, loaded now. `windows`: as `decodeZstd`'s. */
  portable(windows?: Windows): Promise<{ readonly library: string; readonly decode: Decode }>;
}

/** By the name that media types have behind a `+` (OCI) or a `.` (Docker). */
export const FORMATS: { readonly [name in FormatName]: Format } = {
  gzip: {
    // RFC 1952 section 2.3.1, with method 8.
    begins: (head) => startsWith(head, [0x1f, 0x8b, 8]),
    expansion: 1,
    async portable() {
      const { library, engine } = await portableGzip();
      return { library, decode: (source) => decodeGzip(source, engine) };
    },
  },
  zstd: {
    // RFC 8878 section 3.1: a frame, or a skippable frame (any low four bits) with its whole header.
    begins(head) {
      if (startsWith(head, [0x28, 0xb5, 0x2f, 0xfd])) return true;
      return (
        head.length >= 8 &&
        ((head[0] ?? 0) & 0xf0) === 0x50 &&
        startsWith(head.subarray(1), [0x2a, 0x4d, 0x18])
      );
    },
    expansion: 10,
    async portable(windows) {
      const { wasmZstdEngine } = await import('./zstd-portable.ts');
      const engine = await wasmZstdEngine();
      return { library: 'Zstandard in WebAssembly', decode: (source) => decodeZstd(source, engine, windows) };
    },
  },
};

/** pako where WebAssembly is not to be had (`--jitless`, a Content-Security-Policy). */
async function portableGzip(): Promise<{ readonly library: string; readonly engine: GzipEngine }> {
  try {
    const { wasmGzipEngine } = await import('./gzip-wasm.ts');
    return { library: 'ISA-L in WebAssembly', engine: await wasmGzipEngine() };
  } catch {
    const { pakoEngine } = await import('./gzip-portable.ts');
    return { library: 'pako', engine: pakoEngine };
  }
}

const NAMES = Object.keys(FORMATS) as FormatName[];

function startsWith(head: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, at) => head[at] === byte);
}

export function isFormatName(name: string): name is FormatName {
  return Object.hasOwn(FORMATS, name);
}

/** As many bytes as `detectCompression` looks at. */
export const DETECT_LENGTH = 8;

/** What the first bytes of a layer say about the layer, whatever its media type. */
export function detectCompression(head: Uint8Array): Compression {
  return NAMES.find((name) => FORMATS[name].begins(head)) ?? 'identity';
}
