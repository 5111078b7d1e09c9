import type { TarSink } from './entry.ts';

/** Passes the content of sparse files on: the fragments that the archive holds, and the holes between. */
export class SparseBody {
  readonly #sink: TarSink;
  /** The next fragment, and how far into the file we are. */
  #part = 0;
  #position = 0;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** Another file follows. */
  begin(): void {
    this.#part = 0;
    this.#position = 0;
  }

  /** The next stored bytes. `parts`: as of a SparseMap. */
  data(bytes: Uint8Array, parts: readonly number[]): void {
    for (let at = 0; at < bytes.length; ) {
      const offset = parts[this.#part] ?? 0;
      const end = offset + (parts[this.#part + 1] ?? 0);
      if (this.#position >= end) {
        this.#part += 2;
        continue;
      }
      this.holeTo(offset);
      const piece = bytes.subarray(at, at + end - this.#position);
      this.#sink.data(piece);
      this.#position += piece.length;
      at += piece.length;
    }
  }

  holeTo(offset: number): void {
    if (offset <= this.#position) return;
    this.#sink.hole(offset - this.#position);
    this.#position = offset;
  }
}
