import { type ByteString, fromUtf8 } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import type { Dir, RenameMode, Stat, Syscalls } from '../ports/syscalls.ts';

/**
 * A name in an open directory. What is done to it follows no symlink and stays in that directory, whatever another user, whose
 * directory may be above, renames meanwhile. Each call throws what Syscalls throws.
 */
export class Spot {
  readonly #sys: Syscalls;
  readonly #dir: Dir;
  readonly #name: ByteString;

  constructor(sys: Syscalls, dir: Dir, name: string) {
    this.#sys = sys;
    this.#dir = dir;
    this.#name = fromUtf8(name);
  }

  /** Undefined when there is nothing. */
  async stat(): Promise<Stat | undefined> {
    return this.#sys.lstat(this.#dir, this.#name);
  }

  async exists(): Promise<boolean> {
    return (await this.stat()) !== undefined;
  }

  async move(to: Spot, mode: RenameMode = 'replace'): Promise<void> {
    this.#sys.rename(this.#dir, this.#name, to.#dir, to.#name, mode);
  }

  async chmod(perm: number): Promise<void> {
    this.#sys.chmod(this.#dir, this.#name, perm);
  }

  async makeDirectory(perm: number): Promise<void> {
    this.#sys.mkdir(this.#dir, this.#name, perm);
    await this.chmod(perm);
  }

  async unlink(): Promise<void> {
    this.#sys.unlink(this.#dir, this.#name);
  }

  /** Of an empty directory. */
  async removeDirectory(): Promise<void> {
    this.#sys.rmdir(this.#dir, this.#name);
  }

  /** The directory at the name, never one that a symlink leads to. The caller closes it. */
  async open(): Promise<Dir> {
    return this.#sys.openDir(this.#dir, this.#name);
  }

  /** FailedPrecondition when something is there: `path` leads elsewhere, then. */
  async requireGone(path: string): Promise<void> {
    if (!(await this.exists())) return;
    throw new HawserError('FailedPrecondition', `Cannot remove ${path}: it was moved meanwhile`);
  }
}
