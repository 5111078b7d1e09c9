/** A stored blob as the bodies of requests. */
import type { Provider } from '../content/content-store.ts';
import { STORED_DAMAGE } from '../content/heal.ts';
import { HawserError, wrap } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { BodySource } from '../ports/transport.ts';

/** Bytes asked of the store at once: two such are in memory. */
const CHUNK = 256 * 1024;

/**
 * Reads the blob once, in order, whatever parts it is sent in, and again from the start where a part is sent anew: so the store has hashed
 * all that was sent. The last bytes are handed out only when the digest has held: no server ever gets the whole of a blob that has rotted.
 */
export class BlobReader {
  readonly #content: Provider;
  readonly #desc: Descriptor;
  readonly #call: Call;
  readonly #onRead: (position: number) => void;
  #cursor: Cursor | undefined;
  #cannotOpen = false;

  /** `onRead`: told how far bytes were handed out. */
  constructor(content: Provider, desc: Descriptor, call: Call, onRead: (position: number) => void) {
    this.#content = content;
    this.#desc = desc;
    this.#call = call;
    this.#onRead = onRead;
  }

  /** What was read last failed, and not the one who was reading. */
  get hasFailed(): boolean {
    return this.#cannotOpen || this.#cursor?.hasFailed === true;
  }

  /** The bytes from `start`, `end` excluded. To open a part ends the part that was opened before. */
  part(start: number, end: number): BodySource {
    return { length: end - start, open: () => this.#bytes(start, end) };
  }

  async close(): Promise<void> {
    await this.#cursor?.close();
    this.#cursor = undefined;
  }

  async *#bytes(start: number, end: number): AsyncGenerator<Uint8Array> {
    const cursor = await this.#cursorAt(start);
    while (cursor.at < end) {
      const bytes = await cursor.take(end - cursor.at);
      this.#onRead(cursor.at);
      yield bytes;
    }
  }

  async #cursorAt(start: number): Promise<Cursor> {
    if (this.#cursor?.at === start && !this.#cursor.isBusy) return this.#cursor;
    await this.#cursor?.close();
    let stream: ReadableStream<Uint8Array>;
    this.#cannotOpen = false;
    try {
      stream = await this.#content.open(this.#desc.digest, { ...this.#call, chunk: CHUNK });
    } catch (err) {
      this.#cannotOpen = true;
      throw wrap('Cannot push', err);
    }
    const cursor = new Cursor(stream, this.#desc);
    this.#cursor = cursor;
    while (cursor.at < start) await cursor.take(start - cursor.at);
    return cursor;
  }
}

/** A place in the stream of a blob. */
class Cursor {
  readonly #stream: ReadableStreamDefaultReader<Uint8Array>;
  readonly #desc: Descriptor;
  #current: Uint8Array = new Uint8Array();
  /** What follows; undefined before the first bytes, and at the end, where the digest has held. */
  #following: Uint8Array | undefined;
  /** Of the next byte. */
  at = 0;
  /** A `take` that was given up is still waiting for the store. */
  isBusy = false;
  hasFailed = false;

  constructor(stream: ReadableStream<Uint8Array>, desc: Descriptor) {
    this.#stream = stream.getReader();
    this.#desc = desc;
  }

  /** The next bytes, at most `most`. DataLoss where there are none, or the digest does not hold. */
  async take(most: number): Promise<Uint8Array> {
    this.isBusy = true;
    try {
      const bytes = await this.#take(most);
      this.isBusy = false;
      return bytes;
    } catch (err) {
      this.hasFailed = true;
      throw err;
    }
  }

  async #take(most: number): Promise<Uint8Array> {
    if (this.at === 0) this.#following = await this.#read();
    if (this.#current.length === 0) {
      this.#current = this.#following ?? this.#current;
      this.#following = await this.#read();
    }
    const bytes = this.#current.subarray(0, most);
    this.#current = this.#current.subarray(bytes.length);
    this.at += bytes.length;
    const isEnd = this.#current.length === 0 && this.#following === undefined;
    if (bytes.length === 0 || isEnd !== this.at >= this.#desc.size) throw this.#otherSize();
    return bytes;
  }

  async close(): Promise<void> {
    await this.#stream.cancel().catch(() => {});
  }

  async #read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const { done, value } = await this.#stream.read();
      if (done || value.length > 0) return value;
    }
  }

  #otherSize(): HawserError {
    const { digest, size } = this.#desc;
    return new HawserError('DataLoss', `Cannot push ${digest}: it has other than ${size} bytes here`, {
      hint: STORED_DAMAGE,
    });
  }
}
