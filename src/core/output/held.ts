import { type ByteString, fromUtf8 } from '../bytes.ts';
import type { HeldDir } from '../layers/workers.ts';
import type { Database } from '../ports/database.ts';
import type { Dir, Syscalls } from '../ports/syscalls.ts';
import { Spot } from './spot.ts';

/** An open staging directory, the one that it is in, and its lock. */
export class Held {
  lock: Database | undefined;
  readonly name: string;
  readonly #sys: Syscalls;
  readonly #parent: Dir;
  readonly #dir: Dir;
  #isClosed = false;

  private constructor(sys: Syscalls, parent: Dir, dir: Dir, name: string) {
    this.#sys = sys;
    this.#parent = parent;
    this.#dir = dir;
    this.name = name;
  }

  static open(sys: Syscalls, parentPath: string, name: string): Held {
    const parent = sys.openRoot(`${parentPath}/.`);
    try {
      return new Held(sys, parent, sys.openDir(parent, fromUtf8(name)), name);
    } catch (err) {
      sys.closeDir(parent);
      throw err;
    }
  }

  spot(name: string): Spot {
    return new Spot(this.#sys, this.#dir, name);
  }

  beside(name: string): Spot {
    return new Spot(this.#sys, this.#parent, name);
  }

  names(): ByteString[] {
    return this.#sys.list(this.#dir);
  }

  uid(): number {
    return this.#sys.fstat(this.#dir).uid;
  }

  /** To be synced: `path` is the directory's. By its path where descriptors cannot be synced (no FFI). */
  toSync(path: string): string | HeldDir {
    return this.#sys.provider === 'ffi' ? { path, fd: this.#dir.fd } : path;
  }

  unlock(): void {
    this.lock?.close();
    this.lock = undefined;
  }

  /** Closing again does nothing. */
  close(): void {
    this.unlock();
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#sys.closeDir(this.#dir);
    this.#sys.closeDir(this.#parent);
  }
}
