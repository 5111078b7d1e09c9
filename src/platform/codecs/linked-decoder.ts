/**
 * Decompression on a thread of its own, by what is linked into the static executable: ISA-L for gzip, Node's Zstandard for zstd
 * (scripts/static/decoder.c). Other programs have no such functions.
 */
import { Buffer } from 'node:buffer';
import { plain } from '../../core/bytes.ts';
import { corrupt, refused } from '../../core/codec/failures.ts';
import type { Ended, GzipEngine, Inflater } from '../../core/codec/gzip-members.ts';
import type { ZstdDecoder, ZstdEngine } from '../../core/codec/zstd-decode.ts';
import { HawserError } from '../../core/errors.ts';
import type { DecoderFunctions } from './decoder-functions.ts';

/** Of the sources in scripts/static/isa-l. */
export const ISAL_VERSION = '2.31.1';

const DEFLATE = 0;
const ZSTD = 1;

const HUNGRY = 0;
const WAITING = -1;
const ENDED = -2;
const FAILED = -1000;

/** zstd_errors.h. */
const WINDOW_TOO_LARGE = 16;
const NO_MEMORY = 64;

const OUTPUT = 512 * 1024;
/** Sums, and what may be left of four inputs. */
const LEFT = 8 + 8 + 4 * 256 * 1024;

/** Milliseconds that one call waits for the other thread: the event loop of this one stands still meanwhile. */
const PATIENCE_MS = 2;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What a call found when there was no output: all input is decoded, not yet all, the data ended. */
type Found = 'hungry' | 'waiting' | 'ended';

class LinkedDecoder {
  readonly #fn: DecoderFunctions;
  readonly #format: 'gzip' | 'zstd';
  /** 0 when closed. */
  #decoder: bigint;
  /** The next output is copied there. */
  #into: Uint8Array | undefined;

  private constructor(fn: DecoderFunctions, format: 'gzip' | 'zstd', decoder: bigint) {
    this.#fn = fn;
    this.#format = format;
    this.#decoder = decoder;
  }

  /** Undefined when there is no thread for it (a limit of processes), or no memory. */
  static open(fn: DecoderFunctions, format: 'gzip' | 'zstd'): LinkedDecoder | undefined {
    const decoder = BigInt(fn.hawser_decoder_open(format === 'gzip' ? DEFLATE : ZSTD));
    return decoder === 0n ? undefined : new LinkedDecoder(fn, format, decoder);
  }

  /**
   * Gives `input` to the thread, and yields the output that is there already. Returns undefined, or when the data ended what was not
   * given.
   */
  async *write(
    input: Uint8Array,
    last: boolean,
  ): AsyncGenerator<Uint8Array, Uint8Array | undefined, undefined> {
    for (let left = input; left.length > 0; ) {
      const given = this.#fn.hawser_decoder_give(this.#live(), left, left.length, last ? 1 : 0);
      left = left.subarray(given);
      const found = yield* given > 0 ? this.#ready() : this.#oneMore();
      if (found === 'ended') return left;
    }
    return undefined;
  }

  /** Yields all output that comes of the input so far. Returns whether the data ended. */
  async *drain(): AsyncGenerator<Uint8Array, boolean, undefined> {
    for (;;) {
      const found = yield* this.#oneMore();
      if (found === 'hungry' || found === 'ended') return found === 'ended';
    }
  }

  /** As an `Inflater`'s. */
  async *meanwhile(more: Promise<unknown>): AsyncGenerator<Uint8Array, void, undefined> {
    let came = false;
    const told = (): void => {
      came = true;
    };
    more.then(told, told);
    // What a file has comes in this turn.
    await turn();
    while (!came) {
      const found = yield* this.#oneMore();
      if (found === 'hungry' || found === 'ended') return;
    }
  }

  /** The sums of the data that ended, and what followed them in the input. */
  finish(): Ended {
    const left = new Uint8Array(LEFT);
    const length = this.#fn.hawser_decoder_finish(this.#live(), left);
    const sums = new DataView(left.buffer);
    return { crc: sums.getUint32(0, true), size: sums.getUint32(4, true), rest: left.slice(8, length) };
  }

  close(): void {
    if (this.#decoder !== 0n) this.#fn.hawser_decoder_close(this.#decoder);
    this.#decoder = 0n;
  }

  async *#ready(): AsyncGenerator<Uint8Array, Found, undefined> {
    for (;;) {
      const found = this.#take(0);
      if (typeof found === 'string') return found;
      yield found;
    }
  }

  /** Waits a little for output where there is none: first other work of this thread goes on. */
  async *#oneMore(): AsyncGenerator<Uint8Array, Found | 'output', undefined> {
    let found = this.#take(0);
    if (found === 'waiting') {
      await turn();
      found = this.#take(PATIENCE_MS);
    }
    if (typeof found === 'string') return found;
    yield found;
    return 'output';
  }

  #take(ms: number): Uint8Array | Found {
    this.#into ??= plain(Buffer.allocUnsafeSlow(OUTPUT));
    const into = this.#into;
    const result = Number(this.#fn.hawser_decoder_take(this.#live(), into, ms));
    if (result === HUNGRY) return 'hungry';
    if (result === WAITING) return 'waiting';
    if (result === ENDED) return 'ended';
    if (result < 0) throw failure(this.#format, FAILED - result);
    if (result < OUTPUT) return into.slice(0, result);
    this.#into = undefined;
    return into;
  }

  #live(): bigint {
    if (this.#decoder === 0n) throw new HawserError('Internal', 'Cannot use a closed decoder');
    return this.#decoder;
  }
}

function noMemory(format: string): HawserError {
  return new HawserError('ResourceExhausted', `Cannot decompress ${format} data: no memory`);
}

/** `code`: zstd's own, 0 without one. */
function failure(format: 'gzip' | 'zstd', code: number): HawserError {
  if (code === NO_MEMORY) return noMemory(format);
  if (code === WINDOW_TOO_LARGE) return refused('ResourceExhausted', format, 'its window is too large');
  if (format === 'gzip') return corrupt(format, 'a block is damaged');
  return corrupt(
    format,
    code === 0 ? 'a frame does not end where its blocks do' : `the decoder reports error ${code}`,
  );
}

class LinkedInflater implements Inflater {
  readonly #fn: DecoderFunctions;
  readonly #others: GzipEngine;
  #decoder: LinkedDecoder | undefined;
  /** Decodes where no decoder could be opened. */
  #other: Inflater | undefined;
  /** The decoder has had input since it was ready for a stream. */
  #begun = false;

  constructor(fn: DecoderFunctions, others: GzipEngine) {
    this.#fn = fn;
    this.#others = others;
  }

  async *decode(input?: Uint8Array): AsyncGenerator<Uint8Array, Ended | undefined, undefined> {
    const decoder = this.#open();
    if (decoder === undefined) {
      this.#other ??= this.#others.open();
      return yield* this.#other.decode(input);
    }
    this.#begun = true;
    const left = input === undefined ? undefined : yield* decoder.write(input, false);
    if (left === undefined && !(input === undefined && (yield* decoder.drain()))) return undefined;
    const ended = decoder.finish();
    this.#begun = false;
    return left === undefined || left.length === 0 ? ended : { ...ended, rest: concat(ended.rest, left) };
  }

  async *meanwhile(more: Promise<unknown>): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#decoder !== undefined && this.#begun) yield* this.#decoder.meanwhile(more);
  }

  /** A stream stays with what began it. */
  #open(): LinkedDecoder | undefined {
    if (this.#other === undefined) this.#decoder ??= LinkedDecoder.open(this.#fn, 'gzip');
    return this.#decoder;
  }

  reset(): void {
    this.#other?.reset();
    if (this.#begun) this.close();
  }

  close(): void {
    this.#other?.close();
    this.#other = undefined;
    this.#decoder?.close();
    this.#decoder = undefined;
    this.#begun = false;
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/** Small streams are inflated on the calling thread, when they give no more. */
const SMALL_OUTPUT = 1024 * 1024;

/** `others` decodes the streams for which no thread can be had. */
export function linkedGzip(fn: DecoderFunctions, others: GzipEngine): GzipEngine {
  let into: Uint8Array | undefined;
  const sums = new Uint32Array(2);
  const sumBytes = new Uint8Array(sums.buffer);
  return {
    crc32: others.crc32,
    open: () => new LinkedInflater(fn, others),
    inflateSmall(input) {
      into ??= new Uint8Array(SMALL_OUTPUT);
      const size = Number(fn.hawser_inflate_small(input, input.length, into, SMALL_OUTPUT, sumBytes));
      if (size < 0) return undefined;
      const [used = 0, crc = 0] = sums;
      return { output: into.slice(0, size), used, crc, size };
    },
  };
}

class LinkedZstd implements ZstdDecoder {
  readonly #decoder: LinkedDecoder;

  constructor(decoder: LinkedDecoder) {
    this.#decoder = decoder;
  }

  async *decode(input: Uint8Array, frameEnd: boolean): AsyncGenerator<Uint8Array, void, undefined> {
    yield* this.#decoder.write(input, frameEnd);
    if (frameEnd) yield* this.#decoder.drain();
  }

  meanwhile(more: Promise<unknown>): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#decoder.meanwhile(more);
  }

  close(): void {
    this.#decoder.close();
  }
}

/** `openOther` gives decoders that take frames in a row, for when no thread can be had. */
export function linkedZstd(fn: DecoderFunctions, openOther: () => ZstdDecoder): ZstdEngine {
  const open = (): ZstdDecoder => {
    const decoder = LinkedDecoder.open(fn, 'zstd');
    return decoder === undefined ? openOther() : new LinkedZstd(decoder);
  };
  return { joins: true, lingers: false, open };
}
