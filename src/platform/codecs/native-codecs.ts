/** Codecs over node:zlib, which Node and Deno have, composed with the portable ones. */

import process from 'node:process';
import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import { plain } from '../../core/bytes.ts';
import { corrupt } from '../../core/codec/failures.ts';
import type { FormatName } from '../../core/codec/formats.ts';
import {
  decodeGzip,
  type Ended,
  type GzipEngine,
  type Inflater,
  Summing,
} from '../../core/codec/gzip-members.ts';
import { codecOf, decodeIdentity, portableCodec } from '../../core/codec/portable.ts';
import type { Decode } from '../../core/codec/source.ts';
import type { Windows } from '../../core/codec/windows.ts';
import { decodeZstd, type ZstdDecoder, type ZstdEngine } from '../../core/codec/zstd-decode.ts';
import { HawserError, messageOf } from '../../core/errors.ts';
import type { Codecs } from '../../core/ports/codecs.ts';
import { type DecoderFunctions, linkedFunctions } from './decoder-functions.ts';
import { ISAL_VERSION, linkedGzip, linkedZstd } from './linked-decoder.ts';
import { openCompressor } from './native-compressors.ts';

/** Output buffers of this size double the speed of the default 16 KiB. */
const CHUNK = 512 * 1024;

/** Small gzip members are inflated in one call, when they stay below this. */
const SMALL_OUTPUT = 1024 * 1024;

const SMALL_FRAME = 64 * 1024;

const WINDOW_LOG_MAX = 27;

/** Chunks that another thread decodes ahead of the reader. */
const AHEAD = 4;

/** What a stream did with a piece of input. Less than all of the input is used only when the data ended. */
interface Progress {
  readonly used: number;
  readonly ended: boolean;
}

/** A zlib stream that takes input piece by piece and gives output chunk by chunk. It pauses while enough is unread. */
class NativeStream {
  readonly #format: string;
  readonly #stream: Transform & { readonly bytesWritten: number };
  readonly #output: Uint8Array[] = [];
  #failure: { readonly error: Error } | undefined;
  /** The stream has taken all of the last input, or found its end in there. */
  #fed = true;
  #wake = () => {};

  constructor(format: string, stream: Transform & { readonly bytesWritten: number }) {
    this.#format = format;
    this.#stream = stream;
    stream.on('data', (chunk: Uint8Array) => {
      if (this.#output.push(plain(chunk)) >= AHEAD) stream.pause();
      this.#wake();
    });
    stream.on('end', () => this.#wake());
    stream.on('error', (error) => {
      this.#failure = { error };
      this.#wake();
    });
  }

  /**
   * Yields the output of `input`, as far as there is some already: the rest comes with the next input's, unless `drain`, or
   * the end of the stream, asks for all.
   */
  async *write(input: Uint8Array, drain: boolean): AsyncGenerator<Uint8Array, Progress, undefined> {
    const before = this.#stream.bytesWritten;
    this.#feed(input);
    for (;;) {
      const change = this.#nextChange();
      if (this.#failure !== undefined) throw this.#failed(this.#failure.error);
      // A decoder that found its end leaves the rest of its input: only the count says so, or the end of its output.
      const used = this.#stream.bytesWritten - before;
      if (this.#fed && used === input.length && !drain) return { used, ended: false };
      const output = this.#takeOutput();
      if (output !== undefined) yield output;
      else if (this.#isIdle) return { used, ended: used < input.length };
      else await change;
    }
  }

  #feed(input: Uint8Array): void {
    this.#fed = false;
    this.#stream.write(input, () => {
      this.#fed = true;
      this.#wake();
    });
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #takeOutput(): Uint8Array | undefined {
    const output = this.#output.shift();
    if (this.#stream.isPaused()) this.#stream.resume();
    return output;
  }

  /** The input is taken and nothing more comes of it. */
  get #isIdle(): boolean {
    return (this.#fed && this.#stream.readableLength === 0) || this.#stream.readableEnded;
  }

  #failed(error: Error & { code?: string }): HawserError {
    if (error.code === 'Z_MEM_ERROR' || error.code === 'ZSTD_error_memory_allocation')
      return new HawserError('ResourceExhausted', `Cannot decompress ${this.#format} data: no memory`, {
        cause: error,
      });
    return corrupt(this.#format, messageOf(error), error);
  }

  close(): void {
    this.#stream.destroy();
  }
}

class NativeInflater implements Inflater {
  #stream: NativeStream | undefined;
  #sums = new Summing(zlib.crc32);

  async *decode(input?: Uint8Array): AsyncGenerator<Uint8Array, Ended | undefined, undefined> {
    if (input === undefined) return undefined;
    this.#stream ??= new NativeStream('gzip', zlib.createInflateRaw({ chunkSize: CHUNK }));
    const run = this.#stream.write(input, false);
    let step = await run.next();
    for (; !step.done; step = await run.next()) {
      this.#sums.add(step.value);
      yield step.value;
    }
    return step.value.ended ? this.#sums.ended(input.subarray(step.value.used)) : undefined;
  }

  reset(): void {
    this.close();
    this.#stream = undefined;
    this.#sums = new Summing(zlib.crc32);
  }

  close(): void {
    this.#stream?.close();
  }
}

/**
 * The raw inflater under our own framing: createGunzip loses the end of the last member when bytes that are no member
 * follow it.
 */
export const zlibEngine: GzipEngine = {
  open: () => new NativeInflater(),
  crc32: (bytes, crc) => zlib.crc32(bytes, crc),
  inflateSmall(input) {
    try {
      const done = zlib.inflateRawSync(input, { info: true, maxOutputLength: SMALL_OUTPUT }) as unknown as {
        buffer: Uint8Array;
        engine: { bytesWritten: number };
      };
      const output = plain(done.buffer);
      return { output, used: done.engine.bytesWritten, crc: zlib.crc32(output), size: output.length };
    } catch {
      // Longer than the input or the limit, or damaged: the stream will tell.
      return undefined;
    }
  },
};

class NativeZstd implements ZstdDecoder {
  readonly #stream = new NativeStream(
    'zstd',
    zlib.createZstdDecompress({
      chunkSize: CHUNK,
      params: { [zlib.constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
    }),
  );

  async *decode(input: Uint8Array, frameEnd: boolean): AsyncGenerator<Uint8Array, void, undefined> {
    const { ended } = yield* this.#stream.write(input, frameEnd);
    if (ended) throw corrupt('zstd', 'the decoder stopped before the end');
  }

  close(): void {
    this.#stream.close();
  }
}

/** Over a native decoder that takes one frame at a time: a call of that costs more than decoding a small frame elsewhere. */
class SplitZstd implements ZstdDecoder {
  readonly #large = new NativeZstd();
  readonly #small: ZstdDecoder;
  #inFrame = false;

  constructor(small: ZstdDecoder) {
    this.#small = small;
  }

  decode(input: Uint8Array, frameEnd: boolean): AsyncGenerator<Uint8Array, void, undefined> {
    const whole = !this.#inFrame && frameEnd;
    this.#inFrame = !frameEnd;
    return whole && input.length <= SMALL_FRAME
      ? this.#small.decode(input, frameEnd)
      : this.#large.decode(input, frameEnd);
  }

  close(): void {
    this.#large.close();
    this.#small.close();
  }
}

/**
 * Node has a zstd decoder since 22.15: in 26 the decoder goes on to the next frame by itself, in 22 it stops, and frees its window late. Deno's decoder
 * (2.9.6) takes a damaged block for the end of the data, without an error, and is not used.
 */
async function openNativeZstd(): Promise<ZstdEngine | undefined> {
  const functions = linkedDecoder();
  if (functions !== null) return linkedZstd(functions, () => new NativeZstd());
  if ('deno' in process.versions || typeof zlib.createZstdDecompress !== 'function') return undefined;
  // A frame of one raw block with the byte 'a'.
  const frame = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x01, 0x09, 0x00, 0x00, 0x61];
  const joins = zlib.zstdDecompressSync(Uint8Array.from([...frame, ...frame])).length === 2;
  if (joins) return { joins, lingers: false, open: () => new NativeZstd() };
  const { wasmZstdEngine } = await import('../../core/codec/zstd-portable.ts');
  const small = await wasmZstdEngine();
  return { joins, lingers: true, open: () => new SplitZstd(small.open()) };
}

/** What is linked into the static executable; null elsewhere. Looked for on first use. */
let linked: DecoderFunctions | null | undefined;

function linkedDecoder(): DecoderFunctions | null {
  linked ??= linkedFunctions() ?? null;
  return linked;
}

let gzipEngine: GzipEngine | undefined;
let zstdEngine: Promise<ZstdEngine | undefined> | undefined;

function openNativeGzip(): GzipEngine {
  const functions = linkedDecoder();
  return functions === null ? zlibEngine : linkedGzip(functions, zlibEngine);
}

/** The formats for which the runtime has a sound decoder, each opened on first use. */
const NATIVE: {
  readonly [name in FormatName]?: (windows?: Windows) => Promise<Decode | undefined>;
} = {
  async gzip() {
    gzipEngine ??= openNativeGzip();
    const engine = gzipEngine;
    return (source) => decodeGzip(source, engine);
  },
  async zstd(windows) {
    zstdEngine ??= openNativeZstd();
    const engine = await zstdEngine;
    return engine && ((source) => decodeZstd(source, engine, windows));
  },
};

function libraryOf(format: FormatName): string {
  const { zlib: zlibVersion, zstd } = process.versions as Record<string, string | undefined>;
  if (format === 'zstd') return `Zstandard ${zstd}`;
  return linkedDecoder() === null ? `zlib ${zlibVersion}` : `ISA-L ${ISAL_VERSION}`;
}

/** `auto` is native where the runtime has a sound decoder (not for zstd on Deno), else portable. `windows`: as `decodeZstd`'s. */
export function createCodecs(windows?: Windows): Codecs {
  return {
    compressor: async (format) => openCompressor(format),
    async get(compression, choice = 'auto') {
      if (choice === 'portable') return portableCodec(compression, windows);
      if (compression === 'identity') return codecOf(compression, 'native', 'none', decodeIdentity);
      const decode = await NATIVE[compression]?.(windows);
      if (decode !== undefined) return codecOf(compression, 'native', libraryOf(compression), decode);
      if (choice === 'auto') return portableCodec(compression, windows);
      throw new HawserError(
        'NotImplemented',
        `Cannot decompress ${compression} natively: this runtime has no sound decoder`,
        { hint: 'Leave the codec at auto, or choose portable' },
      );
    },
  };
}
