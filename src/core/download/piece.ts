import { linkAbort } from '../async/abort.ts';
import type { RangeReader } from './range-reader.ts';

/** A range that is fetched into memory ahead of its turn: at most its own length. */
export class Piece {
  readonly start: number;
  readonly end: number;
  readonly #stop = new AbortController();
  readonly #unlink: () => void;
  readonly #chunks: Uint8Array[] = [];
  readonly #work: Promise<void>;
  #failure: { readonly reason: unknown } | undefined;
  #ended = false;
  #wake: (() => void) | undefined;

  /**
   * `make` gets the signal of this piece. With `onOpen` the first request is made once, and `onOpen` gets its outcome: true when
   * the server gives the range as asked, false when the piece is of no use.
   */
  constructor(
    range: { readonly start: number; readonly end: number },
    parent: AbortSignal | undefined,
    make: (signal: AbortSignal) => RangeReader,
    onOpen?: (usable: boolean) => void,
  ) {
    this.start = range.start;
    this.end = range.end;
    this.#unlink = linkAbort(parent, this.#stop);
    this.#work = this.#run(make(this.#stop.signal), onOpen);
  }

  /** The next bytes, once they are here; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) return chunk;
      if (this.#failure !== undefined) throw this.#failure.reason;
      if (this.#ended) return undefined;
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
  }

  async close(): Promise<void> {
    this.#stop.abort(new DOMException('The range is not wanted any more', 'AbortError'));
    await this.#work;
  }

  async #run(reader: RangeReader, onOpen?: (usable: boolean) => void): Promise<void> {
    try {
      if (onOpen !== undefined) await reader.open();
      onOpen?.(true);
      for (let chunk = await reader.read(); chunk !== undefined; chunk = await reader.read()) {
        this.#chunks.push(chunk);
        this.#wake?.();
      }
    } catch (reason) {
      this.#failure = { reason };
      onOpen?.(false);
    }
    await reader.close();
    this.#unlink();
    this.#ended = true;
    this.#wake?.();
  }
}
