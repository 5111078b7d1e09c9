/** Digests of the pieces of a blob: of one that was verified once, a part can be read again, and nothing of it is used unverified. */
import { byteStream } from '../async/byte-stream.ts';
import { HawserError } from '../errors.ts';
import type { Hasher, Hashers } from '../ports/hashers.ts';

const PIECE = 1 << 20;
const ALGORITHM = 'sha256';

/** What is known of a blob whose bytes went by. */
export class Pieces {
  readonly #hashers: Hashers;
  readonly #digests: string[] = [];
  #hasher: Hasher | undefined;
  #filled = 0;

  constructor(hashers: Hashers) {
    this.#hashers = hashers;
  }

  /** The next bytes of the blob. */
  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + PIECE - this.#filled);
      this.#hasher ??= this.#hashers.create(ALGORITHM);
      this.#hasher.update(part);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === PIECE) this.end();
    }
  }

  /** All bytes were given. */
  end(): void {
    if (this.#hasher !== undefined) this.#digests.push(this.#hasher.digest());
    this.#hasher = undefined;
    this.#filled = 0;
  }

  /** The same blob once more, from `source`. DataLoss where a piece differs, before anything of that piece is given on. */
  checked(source: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
    const reader = new PieceReader(source);
    let index = 0;
    const next = async (): Promise<Uint8Array | undefined> => {
      const piece = await reader.next();
      if (piece === undefined && index === this.#digests.length) return undefined;
      const hasher = this.#hashers.create(ALGORITHM);
      hasher.update(piece ?? new Uint8Array(0));
      if (hasher.digest() === this.#digests[index++]) return piece;
      throw new HawserError('DataLoss', 'the layer has other bytes than when it was read first', {
        hint: 'Whoever sends or stores the layer has changed it meanwhile: run the command again',
      });
    };
    return byteStream({
      next,
      cancel: (reason) => reader.cancel(reason),
      close: () => reader.cancel(undefined),
    });
  }
}

/** Cuts a stream into pieces. */
class PieceReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  /** Read and not given yet. */
  #rest: Uint8Array = new Uint8Array(0);

  constructor(source: ReadableStream<Uint8Array>) {
    this.#reader = source.getReader();
  }

  /** A whole piece, or the last one; undefined at the end. */
  async next(): Promise<Uint8Array | undefined> {
    const piece = new Uint8Array(PIECE);
    let filled = 0;
    while (filled < PIECE) {
      if (this.#rest.length === 0) {
        const { value, done } = await this.#reader.read();
        if (done) break;
        this.#rest = value;
      }
      const part = this.#rest.subarray(0, PIECE - filled);
      piece.set(part, filled);
      filled += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return filled === 0 ? undefined : piece.subarray(0, filled);
  }

  async cancel(reason: unknown): Promise<void> {
    await this.#reader.cancel(reason);
  }
}
