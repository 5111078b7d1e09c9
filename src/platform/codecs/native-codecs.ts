/** Codecs over node:zlib, which Node and Deno have, composed with the portable ones. */
import process from 'node:process';
import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import { corrupt } from '../../core/codec/detect.ts';
import { decodeGzip, type GzipEngine, type Inflated, type Inflater } from '../../core/codec/gzip-members.ts';
import { identityCodec, portableCodec } from '../../core/codec/portable.ts';
import { decodedStream } from '../../core/codec/source.ts';
import { decodeZstd, type ZstdDecoder, type ZstdEngine } from '../../core/codec/zstd-decode.ts';
import { HawserError, messageOf } from '../../core/errors.ts';
import type { Codec, Codecs } from '../../core/ports/codecs.ts';

/** Output buffers of this size double the speed of the default 16 KiB. */
const CHUNK = 512 * 1024;

/** Small gzip members are inflated in one call, when they stay below this. */
const SMALL_OUTPUT = 1024 * 1024;

const SMALL_FRAME = 64 * 1024;

const WINDOW_LOG_MAX = 27;

/** So many chunks are decoded ahead of the reader, on another thread, while it is busy with one. */
const AHEAD = 4;

/** A zlib stream written to piece by piece, its output taken one chunk at a time. It pauses while enough is unread. */
class NativeStream {
  readonly #format: string;
  readonly #stream: Transform & { readonly bytesWritten: number };
  readonly #output: Uint8Array[] = [];
  #failure: { readonly error: Error } | undefined;
  #wake = () => {};

  constructor(format: string, stream: Transform & { readonly bytesWritten: number }) {
    this.#format = format;
    this.#stream = stream;
    stream.on('data', (chunk: Uint8Array) => {
      if (this.#output.push(chunk) >= AHEAD) stream.pause();
      this.#wake();
    });
    stream.on('end', () => this.#wake());
    stream.on('error', (error) => {
      this.#failure = { error };
      this.#wake();
    });
  }

  /** What is left of its output comes with the next input's, unless `drain`, or its end, asks for all. */
  async *write(input: Uint8Array, drain: boolean): AsyncGenerator<Uint8Array, Inflated, undefined> {
    const stream = this.#stream;
    const before = stream.bytesWritten;
    let taken = false;
    stream.write(input, () => {
      taken = true;
      this.#wake();
    });
    for (;;) {
      const changed = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      if (this.#failure !== undefined) throw this.#failed(this.#failure.error);
      // A decoder that found its end leaves the rest and says so by the count alone, or ends its output.
      const used = stream.bytesWritten - before;
      if (taken && used === input.length && !drain) return { used, ended: false };
      const output = this.#output.shift();
      if (stream.isPaused()) stream.resume();
      if (output !== undefined) yield output;
      else if ((taken && stream.readableLength === 0) || stream.readableEnded) {
        return { used, ended: used < input.length };
      } else await changed;
    }
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

  decode(input: Uint8Array): AsyncGenerator<Uint8Array, Inflated, undefined> {
    this.#stream ??= new NativeStream('gzip', zlib.createInflateRaw({ chunkSize: CHUNK }));
    return this.#stream.write(input, false);
  }

  reset(): void {
    this.close();
    this.#stream = undefined;
  }

  close(): void {
    this.#stream?.close();
  }
}

/**
 * The raw inflater under our own framing: createGunzip loses the end of the last member when bytes that are no member
 * follow it.
 */
const gzipEngine: GzipEngine = {
  open: () => new NativeInflater(),
  crc32: (bytes, crc) => zlib.crc32(bytes, crc),
  inflateSmall(input) {
    try {
      const done = zlib.inflateRawSync(input, { info: true, maxOutputLength: SMALL_OUTPUT }) as unknown as {
        buffer: Uint8Array;
        engine: { bytesWritten: number };
      };
      return { output: done.buffer, used: done.engine.bytesWritten };
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

/** A decoder that must be given frame by frame: a call to it costs more than decoding a small frame elsewhere. */
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
 * Node has it since 22.15; in 26 it goes from one frame to the next by itself, in 22 it stops. Deno's (checked in 2.9.6)
 * takes a damaged block for the end of the data, without an error, so it is not used.
 */
async function nativeZstdEngine(): Promise<ZstdEngine | undefined> {
  if ('deno' in process.versions || typeof zlib.createZstdDecompress !== 'function') return undefined;
  // A frame of one raw block with the byte 'a'.
  const frame = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x01, 0x09, 0x00, 0x00, 0x61];
  const joins = zlib.zstdDecompressSync(Uint8Array.from([...frame, ...frame])).length === 2;
  if (joins) return { joins, open: () => new NativeZstd() };
  const { wasmZstdEngine } = await import('../../core/codec/zstd-portable.ts');
  const small = await wasmZstdEngine();
  return { joins, open: () => new SplitZstd(small.open()) };
}

function nativeGzip(): Codec {
  return {
    compression: 'gzip',
    implementation: 'native',
    decode: (source, call) => decodedStream(source, (bytes) => decodeGzip(bytes, gzipEngine), call),
  };
}

function nativeZstd(engine: ZstdEngine): Codec {
  return {
    compression: 'zstd',
    implementation: 'native',
    decode: (source, call) => decodedStream(source, (bytes) => decodeZstd(bytes, engine), call),
  };
}

/** `auto` is native, but portable for zstd on Deno. */
export function createCodecs(): Codecs {
  let zstd: Promise<ZstdEngine | undefined> | undefined;
  return {
    async get(compression, choice = 'auto') {
      if (choice === 'portable') return portableCodec(compression);
      if (compression === 'identity') return identityCodec('native');
      if (compression === 'gzip') return nativeGzip();
      zstd ??= nativeZstdEngine();
      const engine = await zstd;
      if (engine !== undefined) return nativeZstd(engine);
      if (choice === 'auto') return portableCodec(compression);
      throw new HawserError(
        'NotImplemented',
        'Cannot decompress zstd natively: this runtime has no sound decoder',
        {
          hint: 'Leave the codec at auto, or choose portable',
        },
      );
    },
  };
}
