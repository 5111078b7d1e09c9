/** Owners, modes, times and extended attributes: from an entry, or from one inode to another. */
import { type ByteString, display } from '../bytes.ts';
import { findError, HawserError, isKind, kindOf, wrap } from '../errors.ts';
import type { Stat, TimeSpec } from '../ports/syscalls.ts';
import { copyAttributes, type Inode, isHostKey, isHostRefusal, isOverlayKey } from '../trees/inode.ts';
import type { OwnerMode } from '../users/owner-policy.ts';
import type { TarEntry } from './entry.ts';
import { ownerRecord, RECORD_KEY } from './ownership.ts';
import type { Warnings } from './warnings.ts';

/** XATTR_NAME_MAX. */
const MAX_KEY = 255;

const EPOCH: TimeSpec = { sec: 0, nsec: 0 };

/** What a new inode already has and need not be given. */
export interface Has {
  readonly owner: boolean;
  readonly mode: boolean;
}

/** Sets owners, modes and extended attributes. One for each apply: some warnings are given once. */
export class Metadata {
  readonly #warnings: Warnings;
  readonly #owner: OwnerMode;

  constructor(warnings: Warnings, owner: OwnerMode = 'keep') {
    this.#warnings = warnings;
    this.#owner = owner;
  }

  /**
   * Owner, attributes, mode: in this order, for chown(2) clears setuid bits and file capabilities. Times are apart:
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
        reason: findError(err)?.reason,
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

  /** Warns where the file system or this process cannot have the attribute; throws any other failure. */
  #excuse(err: unknown, entry: TarEntry, key: string, what: string): void {
    const hasUser = entry.type === 'file' || entry.type === 'directory';
    if (mayNotHere(err, key)) {
      const why = 'this host does not let this process set attributes of its kind';
      this.#warnings.once(key, `left out the ${what}, and maybe others: ${why}`);
    } else if (isKind(err, 'NotImplemented')) {
      this.#warnings.once('xattr', `the file system does not take the ${what}, and maybe others`);
    } else if (isKind(err, 'PermissionDenied') && key.startsWith('user.') && !hasUser) {
      this.#warnings.add(`ignored the ${what}: only files and directories can have it`);
    } else if (isKind(err, 'PermissionDenied') && this.#owner !== 'keep') {
      const why = 'setting attributes of its kind takes privileges';
      this.#warnings.once(namespaceOf(key), `left out the ${what}, and maybe others: ${why}`);
    } else throw wrap(`setting the ${what}`, err);
  }

  /** Removes the attributes that an earlier layer or entry left, except those in `keep`. */
  clearXattrs(inode: Inode, keep: ReadonlyMap<ByteString, Uint8Array>): void {
    for (const key of inode.listxattr()) {
      if (keep.has(key) || isOverlayKey(key) || key === 'security.selinux') continue;
      try {
        inode.removexattr(key);
      } catch (err) {
        if (!isHostRefusal(err, key)) throw err;
      }
    }
  }

  /** What is copied from the layers below: see copyAttributes. */
  copy(from: Inode, stat: Stat, to: Inode): void {
    copyAttributes(from, stat, to, { owner: this.#owner === 'keep' });
  }

  /** Describes a directory that no layer describes: 0755, root, 1970. */
  byDefault(inode: Inode): void {
    this.chown(inode, 0, 0);
    inode.chmod(0o755);
    inode.utimes(EPOCH, EPOCH);
  }
}

/**
 * Attributes of `security.*` belong to modules of the kernel: who may set one, and which labels SELinux knows, is the host's
 * to say (lsm(5), capabilities(7)), and the rest of the image is good without.
 */
function mayNotHere(err: unknown, key: string): boolean {
  if (!key.startsWith('security.')) return false;
  return isKind(err, 'PermissionDenied') || (isHostKey(key) && isKind(err, 'InvalidArgument'));
}

/** `security` of `security.capability`. */
function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('.'));
}

/** The access time of an entry that has none is its modification time. */
export function atimeOf(entry: TarEntry): TimeSpec {
  return entry.atime ?? entry.mtime;
}
