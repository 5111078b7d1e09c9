import type { Syscalls } from '../ports/syscalls.ts';

/** Writes a new file from front to back, with holes where there are some. */
export class FileWriter {
  readonly #sys: Syscalls;
  readonly #fd: number;
  #position = 0;
  #sparse = false;
  #closed = false;

  constructor(sys: Syscalls, fd: number) {
    this.#sys = sys;
    this.#fd = fd;
  }

  write(bytes: Uint8Array): void {
    if (this.#sparse) this.#sys.writeAt(this.#fd, bytes, this.#position);
    else this.#sys.write(this.#fd, bytes);
    this.#position += bytes.length;
  }

  hole(length: number): void {
    this.#sparse = true;
    this.#position += length;
  }

  /** Gives the file its full size: without this, a hole at its end is missing. */
  finish(): void {
    if (this.#sparse) this.#sys.truncateFile(this.#fd, this.#position);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#sys.closeFile(this.#fd);
  }
}
