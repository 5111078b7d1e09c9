/** Owners, modes, times and extended attributes: from an entry, or from one inode to another. */
import { type ByteString, display } from '../bytes.ts';
import { HawserError, isKind, kindOf, wrap } from '../errors.ts';
import type { Dir, Stat, Syscalls, TimeSpec } from '../ports/syscalls.ts';
import type { OwnerPolicy } from '../users/owner-policy.ts';
import type { TarEntry } from './entry.ts';
import { ownerRecord, RECORD_KEY } from './ownership.ts';
import type { Warnings } from './warnings.ts';

/** XATTR_NAME_MAX. */
const MAX_KEY = 255;

const EPOCH: TimeSpec = { sec: 0, nsec: 0 };

/** The metadata calls on one inode. */
export interface Inode {
  chown(uid: number, gid: number): void;
  chmod(perm: number): void;
  utimes(atime: TimeSpec, mtime: TimeSpec): void;
  setxattr(key: string, value: Uint8Array): void;
  removexattr(key: string): void;
  getxattr(key: string): Uint8Array | undefined;
  listxattr(): string[];
}

export function namedInode(sys: Syscalls, dir: Dir, name: ByteString): Inode {
  return {
    chown: (uid, gid) => sys.chown(dir, name, uid, gid),
    chmod: (perm) => sys.chmod(dir, name, perm),
    utimes: (atime, mtime) => sys.utimes(dir, name, atime, mtime),
    setxattr: (key, value) => sys.setxattr(dir, name, key, value),
    removexattr: (key) => sys.removexattr(dir, name, key),
    getxattr: (key) => sys.getxattr(dir, name, key),
    listxattr: () => sys.listxattr(dir, name),
  };
}

export function dirInode(sys: Syscalls, dir: Dir): Inode {
  return {
    chown: (uid, gid) => sys.chownDir(dir, uid, gid),
    chmod: (perm) => sys.chmodDir(dir, perm),
    utimes: (atime, mtime) => sys.utimesDir(dir, atime, mtime),
    setxattr: (key, value) => sys.setxattrDir(dir, key, value),
    removexattr: (key) => sys.removexattrDir(dir, key),
    getxattr: (key) => sys.getxattrDir(dir, key),
    listxattr: () => sys.listxattrDir(dir),
  };
}

/** overlayfs's own attributes: never an image's business, never copied. */
export function isOverlayKey(key: string): boolean {
  return key.startsWith('trusted.overlay.') || key.startsWith('user.overlay.');
}

/** What a new inode has already. */
export interface Has {
  readonly owner: boolean;
  readonly mode: boolean;
}

/** How extended attributes are kept or not; one an apply, for it warns once. */
export class Metadata {
  readonly #warnings: Warnings;
  readonly #owner: OwnerPolicy['mode'];

  constructor(warnings: Warnings, owner: OwnerPolicy['mode'] = 'keep') {
    this.#warnings = warnings;
    this.#owner = owner;
  }

  /**
   * Owner, attributes, mode: in this order, for chown(2) clears setuid bits and file capabilities. Times are apart, for
   * a directory's come last. Attributes of `trusted.*` and overlayfs's own are dropped with a warning: the first are
   * what containerd refuses too, the others would change what overlayfs shows.
   */
  apply(inode: Inode, entry: TarEntry, opts: { mode?: number; has?: Has } = {}): void {
    if (opts.has?.owner !== true) this.chown(inode, entry.uid, entry.gid);
    for (const [key, value] of entry.xattrs) this.#setxattr(inode, entry, key, value);
    if (this.#owner === 'record') this.#record(inode, entry);
    if (entry.type !== 'symlink' && opts.has?.mode !== true) inode.chmod(opts.mode ?? entry.mode);
  }

  /** Only files and directories can have the attribute. */
  #record(inode: Inode, entry: TarEntry): void {
    if (entry.type !== 'file' && entry.type !== 'directory') return;
    const value = ownerRecord(entry.uid, entry.gid);
    if (value.length === 0) return;
    try {
      inode.setxattr(RECORD_KEY, value);
    } catch (err) {
      throw wrap(`recording the owner ${entry.uid}:${entry.gid} in ${RECORD_KEY}`, err);
    }
  }

  chown(inode: Inode, uid: number, gid: number): void {
    if (this.#owner !== 'keep') return;
    try {
      inode.chown(uid, gid);
    } catch (err) {
      const refused = isKind(err, 'PermissionDenied', 'InvalidArgument');
      const hint = 'Owners can be set by root, or in a user namespace that maps these ids (/etc/subuid)';
      throw new HawserError(kindOf(err), wrap(`setting the owner to ${uid}:${gid}`, err).message, {
        cause: err,
        hint: refused ? hint : undefined,
      });
    }
  }

  #setxattr(inode: Inode, entry: TarEntry, key: ByteString, value: Uint8Array): void {
    const what = `extended attribute ${display(key.slice(0, MAX_KEY))} of ${JSON.stringify(display(entry.name))}`;
    const ours = this.#owner === 'record' && key === RECORD_KEY;
    if (isOverlayKey(key) || key.startsWith('trusted.') || ours) {
      this.#warnings.add(`ignored the ${what}: images may not set such attributes`);
      return;
    }
    if (key.length > MAX_KEY) throw new HawserError('InvalidArgument', `too long a name: ${what}`);
    try {
      inode.setxattr(key, value);
    } catch (err) {
      this.#excuse(err, entry, key, what);
    }
  }

  /** The file system may lack a namespace, and user.* is for files and directories only. All else is an error. */
  #excuse(err: unknown, entry: TarEntry, key: string, what: string): void {
    const hasUser = entry.type === 'file' || entry.type === 'directory';
    if (isKind(err, 'NotImplemented')) {
      this.#warnings.once('xattr', `the file system does not take the ${what}, and maybe others`);
    } else if (isKind(err, 'PermissionDenied') && key.startsWith('user.') && !hasUser) {
      this.#warnings.add(`ignored the ${what}: only files and directories can have it`);
    } else if (isKind(err, 'PermissionDenied') && this.#owner !== 'keep') {
      const why = 'setting attributes of its kind takes privileges';
      this.#warnings.once(namespaceOf(key), `left out the ${what}, and maybe others: ${why}`);
    } else throw wrap(`setting the ${what}`, err);
  }

  /** Removes what an earlier owner of the name left, except what `entry` sets anyway. */
  clearXattrs(inode: Inode, keep: ReadonlyMap<ByteString, Uint8Array>): void {
    for (const key of inode.listxattr()) {
      if (keep.has(key) || isOverlayKey(key) || key === 'security.selinux') continue;
      inode.removexattr(key);
    }
  }

  /** All attributes but those of overlayfs. */
  copy(from: Inode, stat: Stat, to: Inode, isSymlink: boolean): void {
    this.chown(to, stat.uid, stat.gid);
    for (const key of from.listxattr()) {
      const value = isOverlayKey(key) || key === 'security.selinux' ? undefined : from.getxattr(key);
      if (value !== undefined) to.setxattr(key, value);
    }
    if (!isSymlink) to.chmod(stat.mode & 0o7777);
    to.utimes(stat.atime, stat.mtime);
  }

  /** What a directory gets that no layer describes: 0755, root, 1970. */
  byDefault(inode: Inode): void {
    this.chown(inode, 0, 0);
    inode.chmod(0o755);
    inode.utimes(EPOCH, EPOCH);
  }
}

/** `security` of `security.capability`. */
function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('.'));
}

/** The access time of an entry that has none is its modification time. */
export function atimeOf(entry: TarEntry): TimeSpec {
  return entry.atime ?? entry.mtime;
}
