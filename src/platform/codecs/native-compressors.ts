/** Compressors over node:zlib, which Node and Deno have. */
import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import { HawserError, messageOf } from '../../core/errors.ts';
import type { Compressor } from '../../core/ports/codecs.ts';

const CHUNK = 256 * 1024;
/** 8 MiB: k3s decodes windows up to 32 MiB, containerd up to 128 MiB. */
const WINDOW_LOG = 23;
const ZSTD_LEVEL = 3;
const GZIP_LEVEL = 6;

/** gzip has no time and no name in its header; zstd has a checksum. */
export function openCompressor(format: 'gzip' | 'zstd'): Compressor {
  if (format === 'gzip')
    return new NativeCompressor(format, zlib.createGzip({ level: GZIP_LEVEL, chunkSize: CHUNK }));
  if (typeof zlib.createZstdCompress !== 'function')
    throw new HawserError('NotImplemented', 'Cannot compress with zstd: this runtime has no compressor', {
      hint: 'Write the archive to standard output, and pipe it: ... | zstd > FILE',
    });
  const { constants } = zlib;
  const params = {
    [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL,
    [constants.ZSTD_c_windowLog]: WINDOW_LOG,
    [constants.ZSTD_c_checksumFlag]: 1,
  };
  return new NativeCompressor(format, zlib.createZstdCompress({ params, chunkSize: CHUNK }));
}

class NativeCompressor implements Compressor {
  readonly #format: string;
  readonly #stream: Transform;
  #output: Uint8Array[] = [];
  #fail: (err: Error) => void = () => {};

  constructor(format: string, stream: Transform) {
    this.#format = format;
    this.#stream = stream;
    stream.on('data', (chunk: Uint8Array) => void this.#output.push(chunk));
    stream.on('error', (err) => this.#fail(err));
  }

  write(bytes: Uint8Array): Promise<readonly Uint8Array[]> {
    return this.#during((done) => this.#stream.write(bytes, done));
  }

  end(): Promise<readonly Uint8Array[]> {
    return this.#during((done) => {
      this.#stream.once('end', () => done());
      this.#stream.end();
    });
  }

  close(): void {
    this.#stream.destroy();
  }

  async #during(work: (done: (err?: Error | null) => void) => void): Promise<readonly Uint8Array[]> {
    try {
      await new Promise<void>((resolve, reject) => {
        this.#fail = reject;
        work((err) => (err ? reject(err) : resolve()));
      });
    } catch (err) {
      throw new HawserError('Internal', `Cannot compress with ${this.#format}: ${messageOf(err)}`, {
        cause: err,
      });
    }
    const output = this.#output;
    this.#output = [];
    return output;
  }
}
