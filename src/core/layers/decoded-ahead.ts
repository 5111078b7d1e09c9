/** Layers that are decoded before anything of them is applied: what a few compressed bytes expand to is known then. */
import { HawserError } from '../errors.ts';
import type { Codec, Codecs } from '../ports/codecs.ts';

/** Bytes decoded between two turns of the event loop. */
const SLICE = 512 * 1024;

/** Codecs for one layer. A stream of theirs is decoded to its end, holding at most `most` bytes, before the first byte is given. */
export class AheadCodecs implements Pick<Codecs, 'get'> {
  readonly #codecs: Pick<Codecs, 'get'>;
  readonly #most: number;
  readonly #turn: () => Promise<void>;
  #exceeded = false;

  /** `turn` resolves after the waiting events of the event loop have run. */
  constructor(codecs: Pick<Codecs, 'get'>, most: number, turn: () => Promise<void>) {
    this.#codecs = codecs;
    this.#most = most;
    this.#turn = turn;
  }

  /** Whether a stream failed because it makes more than `most` bytes: none of them was given. */
  get exceeded(): boolean {
    return this.#exceeded;
  }

  async get(...choice: Parameters<Codecs['get']>): Promise<Codec> {
    const codec = await this.#codecs.get(...choice);
    return { ...codec, decode: (source, call) => this.#whole(codec.decode(source, call)) };
  }

  /** An abort ends the decoder's stream, and with it this one. */
  #whole(decoded: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
    const reader = decoded.getReader();
    const source: UnderlyingDefaultSource<Uint8Array> = {
      pull: async (out) => {
        for (const chunk of await this.#readAll(reader)) out.enqueue(chunk);
        out.close();
      },
      cancel: (reason) => reader.cancel(reason),
    };
    return new ReadableStream(source, { highWaterMark: 0 });
  }

  async #readAll(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array[]> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for (let slice = 0; ; ) {
      const { value, done } = await reader.read();
      if (done) return chunks;
      size += value.length;
      slice += value.length;
      if (size > this.#most) throw await this.#tooMuch(reader);
      // A short output may be a view of a large buffer.
      chunks.push(value.length === value.buffer.byteLength ? value : new Uint8Array(value));
      if (slice < SLICE) continue;
      slice = 0;
      await this.#turn();
    }
  }

  async #tooMuch(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<HawserError> {
    this.#exceeded = true;
    const error = new HawserError('ResourceExhausted', `the layer expands to more than ${this.#most} bytes`);
    await reader.cancel(error).catch(() => {});
    return error;
  }
}
