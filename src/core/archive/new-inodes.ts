import type { Dir, Syscalls } from '../ports/syscalls.ts';
import { S_ISGID } from '../ports/syscalls.ts';
import type { TarEntry } from './entry.ts';

/**
 * Says which calls on a new inode can be left out, because the inode has the owner or the mode already: an archive has
 * hundreds of thousands of entries, and each such call is a seventh of the work.
 */
export class NewInodes {
  readonly #sys: Syscalls;

  constructor(sys: Syscalls) {
    this.#sys = sys;
  }

  /** Whether new inodes in the directory get this process's ids and the mode asked for: no setgid bit, no default ACL (inode(7), acl(5)). */
  isPlain(dir: Dir | undefined): boolean {
    if (dir === undefined || this.#sys.creation === undefined) return false;
    if ((this.#sys.fstat(dir).mode & S_ISGID) !== 0) return false;
    try {
      return this.#sys.getxattrDir(dir, 'system.posix_acl_default') === undefined;
    } catch {
      return false;
    }
  }

  /** Whether a plain directory that `entry` describes stays plain. */
  staysPlain(entry: TarEntry): boolean {
    if ((entry.mode & S_ISGID) !== 0) return false;
    for (const key of entry.xattrs.keys()) if (key.startsWith('system.')) return false;
    return true;
  }

  /** Whether an inode that was made in a plain directory has the owner of `entry`. */
  hasOwner(entry: TarEntry): boolean {
    return entry.uid === this.#sys.creation?.uid && entry.gid === this.#sys.creation.gid;
  }

  /** Whether an inode that was made with `mode` in a plain directory has exactly that mode. */
  hasMode(mode: number): boolean {
    return mode <= 0o777 && (mode & (this.#sys.creation?.umask ?? 0o777)) === 0;
  }
}
