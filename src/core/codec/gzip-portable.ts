/** Inflate in JavaScript (pako), for what HTTP calls deflate, and where there is neither zlib nor WebAssembly. */
import {
  Z_BUF_ERROR,
  Z_NO_FLUSH,
  Z_OK,
  Z_STREAM_END,
  ZStream,
  zlibInflate,
  zlibInflateEnd,
  zlibInflateInit2,
  zlibInflateReset,
} from 'pako';
import { HawserError } from '../errors.ts';
import { crc32 } from './crc32.ts';
import { corrupt } from './failures.ts';
import { type Ended, type GzipEngine, type Inflater, Summing } from './gzip-members.ts';

const OUTPUT = 256 * 1024;

/** Deflate without a wrapper, the largest window. */
const RAW_WINDOW_BITS = -15;

class PakoInflater implements Inflater {
  readonly #stream = new ZStream();
  #sums = new Summing(crc32);
  /** Filled piece by piece; what was handed out is never written again, and nothing kept of a buffer that is full. */
  #output = new Uint8Array(0);
  #filled = 0;

  constructor() {
    const status = zlibInflateInit2(this.#stream, RAW_WINDOW_BITS);
    if (status !== Z_OK)
      throw new HawserError('Internal', `Cannot start the portable inflater: status ${status}`);
  }

  async *decode(input?: Uint8Array): AsyncGenerator<Uint8Array, Ended | undefined, undefined> {
    if (input === undefined) return undefined;
    const stream = this.#stream;
    stream.input = input;
    stream.next_in = 0;
    stream.avail_in = input.length;
    for (;;) {
      const { status, chunk } = this.#step();
      const full = stream.avail_out === 0;
      this.#sums.add(chunk);
      if (chunk.length > 0) yield chunk;
      if (status === Z_STREAM_END) return this.#sums.ended(input.subarray(stream.next_in));
      if (!full && stream.avail_in === 0) return undefined;
    }
  }

  #step(): { status: number; chunk: Uint8Array } {
    const stream = this.#stream;
    if (this.#output.length === 0) {
      this.#output = new Uint8Array(OUTPUT);
      this.#filled = 0;
    }
    stream.output = this.#output;
    stream.next_out = this.#filled;
    stream.avail_out = OUTPUT - this.#filled;
    const status = zlibInflate(stream, Z_NO_FLUSH);
    // Z_BUF_ERROR only says that there was nothing left to do.
    if (status !== Z_OK && status !== Z_STREAM_END && status !== Z_BUF_ERROR) {
      throw corrupt('gzip', stream.msg || `status ${status}`);
    }
    const chunk = this.#output.subarray(this.#filled, stream.next_out);
    this.#filled = stream.next_out;
    if (this.#filled === OUTPUT) this.#output = stream.output = new Uint8Array(0);
    return { status, chunk };
  }

  reset(): void {
    zlibInflateReset(this.#stream);
    this.#sums = new Summing(crc32);
  }

  close(): void {
    zlibInflateEnd(this.#stream);
  }
}

export const pakoEngine: GzipEngine = { open: () => new PakoInflater(), crc32 };
