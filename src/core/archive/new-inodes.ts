import type { Dir, Syscalls } from '../ports/syscalls.ts';
import { S_ISGID } from '../ports/syscalls.ts';
import type { TarEntry } from './entry.ts';

/**
 * What a new inode has before it is described. A call to give it what it has already is left out: an archive has
 * hundreds of thousands of entries, and such calls are a seventh of the work each.
 */
export class NewInodes {
  readonly #sys: Syscalls;

  constructor(sys: Syscalls) {
    this.#sys = sys;
  }

  /** Nothing about the directory changes the owner or mode of what is made in it (inode(7), acl(5)). */
  isPlain(dir: Dir | undefined): boolean {
    if (dir === undefined || this.#sys.creation === undefined) return false;
    if ((this.#sys.fstat(dir).mode & S_ISGID) !== 0) return false;
    try {
      return this.#sys.getxattrDir(dir, 'system.posix_acl_default') === undefined;
    } catch {
      return false;
    }
  }

  /** Whether it stays so when the entry has described it. */
  staysPlain(entry: TarEntry): boolean {
    if ((entry.mode & S_ISGID) !== 0) return false;
    for (const key of entry.xattrs.keys()) if (key.startsWith('system.')) return false;
    return true;
  }

  /** Of what was made in a plain directory. */
  hasOwner(entry: TarEntry): boolean {
    return entry.uid === this.#sys.creation?.uid && entry.gid === this.#sys.creation.gid;
  }

  /** Of what was made in a plain directory with the permission bits of this mode. */
  hasMode(mode: number): boolean {
    return mode <= 0o777 && (mode & (this.#sys.creation?.umask ?? 0o777)) === 0;
  }
}
