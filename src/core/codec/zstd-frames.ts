/**
 * zstd framing (RFC 8878 section 3), walked without decoding: where frames end, which are skippable, how large a window
 * they want. Decoders differ in all of these (some stop after the first frame, some take a cut one for a whole), so
 * they are fed by this walk and agree. Left to zstd: whether a frame has the content size that it declares, which its
 * decoder of streams does not see when the last block is empty. What comes out is the same, and held to the diff ID.
 */
import type { HawserError } from '../errors.ts';
import { corrupt, refused, tooMany } from './failures.ts';
import type { ByteSource } from './source.ts';
import { UNCOUNTED_WINDOW } from './windows.ts';

/** 128 MiB, the most that zstd itself accepts without `--long`. */
const MAX_WINDOW: number = 2 ** 27;

/** As many as a layer may have entries, skippable ones included. */
const MAX_FRAMES = 10_000_000;

const MAX_BLOCK = 128 * 1024;

export const zstdTruncated = (): HawserError => corrupt('zstd', 'it ends in the middle of a frame');

/** Walks frames step by step; `step` must be given at least `wants` bytes. */
export class ZstdWalk {
  wants = 4;
  /** What the last step passed is of a skippable frame. */
  skipping = false;
  /** Between frames. */
  between = true;
  /** Frames begun. */
  frames = 0;
  /** The largest window of the frames so far. */
  window = 0;
  /** An upper bound for what the frames so far decode to. */
  bound = 0;
  #state: 'magic' | 'skippable' | 'descriptor' | 'header' | 'block' | 'body' | 'checksum' = 'magic';
  /** Bytes left of a block or of a skippable frame. */
  #left = 0;
  #last = false;
  #checksum = false;
  /** Block_Maximum_Size of the frame. */
  #block = 0;

  /** Returns how many of `bytes` from `at` on were passed. */
  step(bytes: Uint8Array, at: number): number {
    switch (this.#state) {
      case 'magic':
        return this.#magic(uint(bytes, at, 4));
      case 'skippable':
        this.#body(uint(bytes, at + 4, 4), true);
        return 8;
      case 'descriptor':
        this.wants = headerLength(bytes[at + 4] ?? 0);
        this.#state = 'header';
        return 0;
      case 'header':
        return this.#header(bytes, at);
      case 'block':
        return this.#blockHeader(uint(bytes, at, 3));
      case 'body': {
        const count = Math.min(this.#left, bytes.length - at);
        this.#left -= count;
        if (this.#left === 0) this.#endOfBody();
        return count;
      }
      case 'checksum':
        this.#endOfFrame();
        return 4;
    }
  }

  #magic(magic: number): number {
    this.between = false;
    this.skipping = false;
    this.frames++;
    if (magic === 0xfd2fb528) {
      this.#state = 'descriptor';
      this.wants = 5;
    } else if ((magic & 0xfffffff0) >>> 0 === 0x184d2a50) {
      this.skipping = true;
      this.#state = 'skippable';
      this.wants = 8;
    } else throw corrupt('zstd', 'a frame does not start with its magic number');
    return 0;
  }

  #header(bytes: Uint8Array, at: number): number {
    const descriptor = bytes[at + 4] ?? 0;
    if (descriptor & 0x08) throw corrupt('zstd', 'a frame header has a reserved bit set');
    const single = (descriptor & 0x20) !== 0;
    let pos = at + (single ? 5 : 6);
    const dictionary = uint(bytes, pos, DICTIONARY_LENGTH[descriptor & 3] ?? 0);
    pos += DICTIONARY_LENGTH[descriptor & 3] ?? 0;
    if (dictionary !== 0) throw refused('NotImplemented', 'zstd', `it needs the dictionary ${dictionary}`);
    const window = single ? contentSize(bytes, pos, at + this.wants - pos) : windowSize(bytes[at + 5] ?? 0);
    if (window > MAX_WINDOW)
      throw refused(
        'ResourceExhausted',
        'zstd',
        `it wants a window of ${window} bytes, the limit is ${MAX_WINDOW}`,
        'The image was compressed with a very long window (zstd --long); ask who made it',
      );
    const length = this.wants;
    this.window = Math.max(this.window, window);
    this.#checksum = (descriptor & 0x04) !== 0;
    this.#block = Math.min(MAX_BLOCK, window);
    this.#state = 'block';
    this.wants = 3;
    return length;
  }

  #blockHeader(header: number): number {
    this.#last = (header & 1) !== 0;
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type === 3) throw corrupt('zstd', 'a block has a reserved type');
    // zstd takes such blocks or not by how its input is cut. Its own encoder makes empty blocks raw.
    if (type !== 0 && size === 0) throw corrupt('zstd', 'an empty block is not raw');
    // Block_Maximum_Size (RFC 8878 section 3.1.1.2.4): also of what a run of one byte stands for.
    if (size > this.#block) throw corrupt('zstd', 'a block is larger than the format allows');
    this.bound += type === 2 ? this.#block : size;
    this.#body(type === 1 ? 1 : size, false);
    return 3;
  }

  #body(length: number, skipping: boolean): void {
    this.skipping = skipping;
    this.#left = length;
    this.#state = 'body';
    this.wants = 1;
    if (length === 0) this.#endOfBody();
  }

  #endOfBody(): void {
    if (this.skipping) this.#endOfFrame();
    else if (!this.#last) {
      this.#state = 'block';
      this.wants = 3;
    } else if (this.#checksum) {
      this.#state = 'checksum';
      this.wants = 4;
    } else this.#endOfFrame();
  }

  #endOfFrame(): void {
    this.#state = 'magic';
    this.wants = 4;
    this.between = true;
  }
}

const DICTIONARY_LENGTH = [0, 1, 2, 4];

function headerLength(descriptor: number): number {
  const single = (descriptor & 0x20) !== 0;
  const content = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  return 5 + (single ? 0 : 1) + (DICTIONARY_LENGTH[descriptor & 3] ?? 0) + content;
}

/** RFC 8878 section 3.1.1.1.2. */
function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

/** RFC 8878 section 3.1.1.1.4: two bytes count from 256. */
function contentSize(bytes: Uint8Array, at: number, length: number): number {
  return uint(bytes, at, length) + (length === 2 ? 256 : 0);
}

/** Little-endian. Above 2^53 not exact, which is of no matter for comparing with limits. */
function uint(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let i = length - 1; i >= 0; i--) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}

/** Some bytes of frames, skippable ones left out. */
export interface FramePart {
  readonly bytes: Uint8Array;
  /** Ends exactly with a frame. */
  readonly frameEnd: boolean;
  /** The largest window of the frames so far. Before one that counts (UNCOUNTED_WINDOW) and is larger than all before, a part ends. */
  readonly window: number;
}

/** The bytes to decode, in order. With `split` no part holds bytes of two frames. Throws DataLoss, ResourceExhausted. */
export async function* zstdFrames(
  source: ByteSource,
  split: boolean,
  maxFrames: number = MAX_FRAMES,
): AsyncGenerator<FramePart, void, undefined> {
  if (!(await source.need(1))) throw corrupt('zstd', 'it is empty');
  const cutter = new FrameCutter(source, split, maxFrames);
  for (;;) {
    if (cutter.isShort) {
      const rest = cutter.take();
      if (rest !== undefined) yield rest;
      if (!(await cutter.more())) return;
    }
    const part = cutter.step();
    if (part !== undefined) yield part;
  }
}

/** Walks over what a source has at hand, and gives out what was walked over but for skippable frames. */
class FrameCutter {
  readonly #source: ByteSource;
  readonly #split: boolean;
  readonly #maxFrames: number;
  readonly #walk = new ZstdWalk();
  /** The largest window of what was given out, or is about to be. */
  #window = 0;
  /** The first so many bytes at hand are of frames, and were walked over but not given out yet. */
  #walked = 0;

  constructor(source: ByteSource, split: boolean, maxFrames: number) {
    this.#source = source;
    this.#split = split;
    this.#maxFrames = maxFrames;
  }

  /** The walk needs more bytes than are at hand. */
  get isShort(): boolean {
    return this.#source.chunk.length - this.#walked < this.#walk.wants;
  }

  /** What was walked over, if anything. */
  take(): FramePart | undefined {
    if (this.#walked === 0) return undefined;
    const bytes = this.#source.chunk.subarray(0, this.#walked);
    this.#source.advance(this.#walked);
    this.#walked = 0;
    return { bytes, frameEnd: this.#walk.between, window: this.#window };
  }

  /** Reads what the walk needs, when nothing is left to give out. False: the data ended with a frame. */
  async more(): Promise<boolean> {
    if (await this.#source.need(this.#walk.wants)) return true;
    if (this.#walk.between && this.#source.chunk.length === 0) return false;
    throw zstdTruncated();
  }

  /** One step of the walk. Returns what must be given out after it. */
  step(): FramePart | undefined {
    const walk = this.#walk;
    const source = this.#source;
    const before = walk.between;
    const passed = walk.step(source.chunk, this.#walked);
    if (walk.frames > this.#maxFrames) throw tooMany('zstd', this.#maxFrames);
    if (!walk.skipping) {
      const large = walk.window > Math.max(this.#window, UNCOUNTED_WINDOW);
      const ended = large && walk.frames > 1 ? this.#wholeFrames() : undefined;
      this.#window = walk.window;
      this.#walked += passed;
      return this.#split && walk.between && !before ? this.take() : ended;
    }
    const part = this.#wholeFrames();
    source.advance(passed);
    return part.bytes.length > 0 ? part : undefined;
  }

  /** What precedes a skippable frame, or one with a larger window; there may be no bytes of it at hand. */
  #wholeFrames(): FramePart {
    const bytes = this.#source.chunk.subarray(0, this.#walked);
    this.#source.advance(this.#walked);
    this.#walked = 0;
    return { bytes, frameEnd: true, window: this.#window };
  }
}
