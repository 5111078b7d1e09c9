/** The entries of a tar archive one after another, read on demand, over the strict reader that layers go through. */
import type { EntryType, TarEntry, TarSink } from '../archive/entry.ts';
import { TarReader } from '../archive/tar-reader.ts';
import type { ByteString } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';

/** Bytes in order. */
export interface ByteInput {
  /** Undefined at the end. The bytes stay as they are until the next call. */
  read(call: Call): Promise<Uint8Array | undefined>;
  /** Passes over bytes without reading them. False, with nothing done, where that cannot be. */
  seek?(count: number): boolean;
}

export interface ScannedEntry {
  readonly type: EntryType;
  readonly name: ByteString;
  readonly linkName: ByteString;
  readonly size: number;
  /** It has holes that the archive does not hold. */
  readonly sparse: boolean;
  /** Position of the content in the archive; for a file that is not sparse. */
  readonly offset: number;
}

type Event =
  | { readonly type: 'entry'; readonly entry: TarEntry; readonly sparse: boolean }
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  | { readonly type: 'hole'; readonly length: number }
  | { readonly type: 'end' };

/** A hole is read as zeros, in pieces of this size. */
const ZEROS: Uint8Array = new Uint8Array(64 * 1024);

export class TarEntries {
  readonly #input: ByteInput;
  readonly #events: Event[] = [];
  readonly #reader: TarReader;
  /** Position of what comes after the last chunk. */
  #position = 0;
  #isOver = false;
  #failure: { readonly reason: unknown } | undefined;
  #chunk: Uint8Array = new Uint8Array(0);

  constructor(input: ByteInput) {
    this.#input = input;
    const push = (event: Event) => void this.#events.push(event);
    const sink: TarSink = {
      entry: (entry) => push({ type: 'entry', entry, sparse: this.#reader.isSparse }),
      // A view of the chunk, which stays as it is until the next one is read.
      data: (bytes) => push({ type: 'data', bytes }),
      hole: (length) => push({ type: 'hole', length }),
      entryEnd: () => push({ type: 'end' }),
    };
    this.#reader = new TarReader(sink);
  }

  /** Passes over what is left of the entry before. Undefined at the end of the archive. DataLoss when it ends too early. */
  async next(call: Call): Promise<ScannedEntry | undefined> {
    for (;;) {
      for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) {
        if (event.type === 'entry') return this.#scanned(event.entry, event.sparse);
      }
      this.#seekOver();
      if (this.#events.length === 0 && !(await this.#more(call))) return undefined;
    }
  }

  /** The next piece of the entry's content; undefined at its end. */
  async content(call: Call): Promise<Uint8Array | undefined> {
    for (;;) {
      const event = this.#events[0];
      if (event === undefined) {
        if (!(await this.#more(call))) return undefined;
        continue;
      }
      if (event.type === 'end' || event.type === 'entry') return undefined;
      this.#events.shift();
      if (event.type === 'data') return event.bytes;
      const length = Math.min(event.length, ZEROS.length);
      if (event.length > length) this.#events.unshift({ type: 'hole', length: event.length - length });
      return ZEROS.subarray(0, length);
    }
  }

  /** The whole content of an entry of this size. */
  async whole(size: number, call: Call): Promise<Uint8Array> {
    const bytes = new Uint8Array(size);
    let at = 0;
    for (let piece = await this.content(call); piece !== undefined; piece = await this.content(call)) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  /** Where the content begins: its first piece is a view of the chunk at hand, or it comes with the next chunk. */
  #scanned({ type, name, linkName, size }: TarEntry, sparse: boolean): ScannedEntry {
    const first = this.#events[0];
    let offset = this.#position;
    if (first?.type === 'data') {
      const chunkStart = this.#position - this.#chunk.length;
      offset = chunkStart + (first.bytes.byteOffset - this.#chunk.byteOffset);
    }
    return { type, name, linkName, size, sparse, offset };
  }

  #seekOver(): void {
    const count = this.#reader.skippable;
    if (count === 0 || this.#input.seek?.(count) !== true) return;
    this.#position += count;
    this.#reader.skip(count);
  }

  /** False at the end of the archive. What follows its end blocks is read, and ignored. */
  async #more(call: Call): Promise<boolean> {
    if (this.#failure !== undefined) throw this.#failure.reason;
    if (this.#isOver) return false;
    try {
      return await this.#read(call);
    } catch (reason) {
      // Whoever goes on in spite of the error must not take the archive for whole.
      this.#failure = { reason };
      throw reason;
    }
  }

  async #read(call: Call): Promise<boolean> {
    const chunk = await this.#input.read(call);
    if (chunk === undefined) {
      this.#isOver = true;
      if (this.#position === 0) throw new HawserError('InvalidArgument', 'it is empty');
      this.#reader.end();
      return this.#events.length > 0;
    }
    this.#chunk = chunk;
    this.#position += chunk.length;
    this.#reader.push(chunk);
    return true;
  }
}
