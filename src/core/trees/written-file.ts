import { HawserError } from '../errors.ts';
import type { Hasher } from '../ports/hashers.ts';
import type { Content, ModelNode } from './model-node.ts';

const ZEROS = new Uint8Array(1 << 16);

/** A file of a tree in memory that was created and is not closed. Files are written from front to back. */
export class WrittenFile {
  /** Of a copy: the content of the file that is copied. */
  copied: Content | undefined;
  readonly #node: ModelNode;
  readonly #hasher: Hasher;
  #position = 0;

  constructor(node: ModelNode, hasher: Hasher) {
    this.#node = node;
    this.#hasher = hasher;
  }

  write(bytes: Uint8Array): void {
    this.#hasher.update(bytes);
    this.#position += bytes.length;
  }

  /** Makes a hole up to `size`, if the file is not that long. */
  extend(size: number): void {
    if (size < this.#position) throw new HawserError('Internal', 'a file is written backwards');
    while (this.#position < size)
      this.write(ZEROS.subarray(0, Math.min(ZEROS.length, size - this.#position)));
  }

  close(): void {
    this.#node.content = this.copied ?? { size: this.#position, id: this.#hasher.digest() };
  }
}
