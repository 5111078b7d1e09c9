/** The metadata calls on one inode: the same words for a name in a directory and for the directory itself. */
import type { ByteString } from '../bytes.ts';
import { isKind } from '../errors.ts';
import { type Dir, isSymlink, type Stat, type Syscalls, type TimeSpec } from '../ports/syscalls.ts';

export interface Inode {
  chown(uid: number, gid: number): void;
  /** All twelve permission bits. Not for symlinks. */
  chmod(perm: number): void;
  utimes(atime: TimeSpec, mtime: TimeSpec): void;
  setxattr(key: string, value: Uint8Array): void;
  removexattr(key: string): void;
  getxattr(key: string): Uint8Array | undefined;
  listxattr(): string[];
}

class NamedInode implements Inode {
  readonly #sys: Syscalls;
  readonly #dir: Dir;
  readonly #name: ByteString;

  constructor(sys: Syscalls, dir: Dir, name: ByteString) {
    this.#sys = sys;
    this.#dir = dir;
    this.#name = name;
  }

  chown(uid: number, gid: number): void {
    this.#sys.chown(this.#dir, this.#name, uid, gid);
  }

  chmod(perm: number): void {
    this.#sys.chmod(this.#dir, this.#name, perm);
  }

  utimes(atime: TimeSpec, mtime: TimeSpec): void {
    this.#sys.utimes(this.#dir, this.#name, atime, mtime);
  }

  setxattr(key: string, value: Uint8Array): void {
    this.#sys.setxattr(this.#dir, this.#name, key, value);
  }

  removexattr(key: string): void {
    this.#sys.removexattr(this.#dir, this.#name, key);
  }

  getxattr(key: string): Uint8Array | undefined {
    return this.#sys.getxattr(this.#dir, this.#name, key);
  }

  listxattr(): string[] {
    return this.#sys.listxattr(this.#dir, this.#name);
  }
}

class DirInode implements Inode {
  readonly #sys: Syscalls;
  readonly #dir: Dir;

  constructor(sys: Syscalls, dir: Dir) {
    this.#sys = sys;
    this.#dir = dir;
  }

  chown(uid: number, gid: number): void {
    this.#sys.chownDir(this.#dir, uid, gid);
  }

  chmod(perm: number): void {
    this.#sys.chmodDir(this.#dir, perm);
  }

  utimes(atime: TimeSpec, mtime: TimeSpec): void {
    this.#sys.utimesDir(this.#dir, atime, mtime);
  }

  setxattr(key: string, value: Uint8Array): void {
    this.#sys.setxattrDir(this.#dir, key, value);
  }

  removexattr(key: string): void {
    this.#sys.removexattrDir(this.#dir, key);
  }

  getxattr(key: string): Uint8Array | undefined {
    return this.#sys.getxattrDir(this.#dir, key);
  }

  listxattr(): string[] {
    return this.#sys.listxattrDir(this.#dir);
  }
}

/** What is at `name` in a directory, be it a symlink. */
export function namedInode(sys: Syscalls, dir: Dir, name: ByteString): Inode {
  return new NamedInode(sys, dir, name);
}

/** An open directory itself. */
export function dirInode(sys: Syscalls, dir: Dir): Inode {
  return new DirInode(sys, dir);
}

/** overlayfs's own attributes: never an image's business. */
export function isOverlayKey(key: string): boolean {
  return key.startsWith('trusted.overlay.') || key.startsWith('user.overlay.');
}

/** By default the owner is, and overlayfs's own attributes are not. */
export interface CopyRule {
  readonly owner?: boolean;
  readonly overlayKeys?: boolean;
}

/**
 * Gives `to` the owner, extended attributes, mode and times of `from`, whose `stat` the caller has: in this order, for
 * chown(2) clears setuid bits and file capabilities, and all of them change times.
 */
export function copyAttributes(from: Inode, stat: Stat, to: Inode, rule: CopyRule = {}): void {
  const { owner = true, overlayKeys = false } = rule;
  if (owner) to.chown(stat.uid, stat.gid);
  for (const key of from.listxattr()) {
    const value = overlayKeys || !isOverlayKey(key) ? from.getxattr(key) : undefined;
    if (value !== undefined) setCopied(to, key, value);
  }
  if (!isSymlink(stat)) to.chmod(stat.mode & 0o7777);
  to.utimes(stat.atime, stat.mtime);
}

/**
 * Attributes of security modules (SELinux, Smack, IMA, EVM): a host that has one gives such an attribute to new inodes itself,
 * and its policy decides who may set, change or remove which. File capabilities are the file's own.
 */
export function isHostKey(key: string): boolean {
  return key.startsWith('security.') && key !== 'security.capability';
}

/** Whether a failure to set or remove an attribute is only the host's way with its own. */
export function isHostRefusal(err: unknown, key: string): boolean {
  return isHostKey(key) && isKind(err, 'PermissionDenied', 'NotImplemented', 'InvalidArgument');
}

function setCopied(to: Inode, key: string, value: Uint8Array): void {
  try {
    to.setxattr(key, value);
  } catch (err) {
    if (!isHostRefusal(err, key)) throw err;
  }
}
