/** Paths that only trusted users can change: nobody else can lead to another place what is done below them. */
import { type ByteString, fromUtf8 } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import {
  type Dir,
  isDirectory,
  isSymlink,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  type Stat,
  type Syscalls,
} from '../ports/syscalls.ts';

/** The kernel's limit for one path (MAXSYMLINKS). */
const MAX_LINKS = 40;
const STICKY = 0o1000;
const GROUP_WRITE = 0o020;
const OTHERS_WRITE = 0o002;

/** The users who may own what a path goes through. */
export type Owners = readonly number[];

/**
 * Opens a directory, component by component. Every directory on the way belongs to an owner and others may not write to it, or it
 * is sticky (the last may not be); a symlink belongs to an owner. Else PermissionDenied. The caller closes the handle.
 */
export function openOwned(sys: Syscalls, path: string, owners: Owners): Dir {
  const dir = walk(sys, path, owners);
  try {
    checkDirectory(sys, dir, path, owners);
    return dir;
  } catch (err) {
    sys.closeDir(dir);
    throw err;
  }
}

/** PermissionDenied unless only an owner can write to the open directory. */
export function checkDirectory(sys: Syscalls, dir: Dir, path: string, owners: Owners): void {
  const stat = sys.fstat(dir);
  if (!owners.includes(stat.uid)) throw refused(path, `belongs to user ${stat.uid}`);
  if (isWritable(stat)) throw refused(path, 'can be written to by other users');
}

/** PermissionDenied unless the path leads to a socket of an owner that only owners can replace. */
export function checkSocket(sys: Syscalls, path: string, owners: Owners): void {
  const at = path.lastIndexOf('/');
  const dir = walk(sys, path.slice(0, at) || '/', owners);
  try {
    const stat = sys.lstat(dir, fromUtf8(path.slice(at + 1)));
    if (stat === undefined || (stat.mode & S_IFMT) !== S_IFSOCK) throw refused(path, 'is not a socket');
    if (!owners.includes(stat.uid)) throw refused(path, `belongs to user ${stat.uid}`);
  } finally {
    sys.closeDir(dir);
  }
}

/**
 * PermissionDenied unless the path leads, through symlinks too, to a regular file that only an owner can write to or replace.
 * `above`: who may own the directories and symlinks on the way.
 */
export function checkFile(sys: Syscalls, path: string, owners: Owners, above: Owners = owners): void {
  checkEnd(sys, path, { isOwner: (uid) => owners.includes(uid), isWritable }, onlyOwners(above));
}

/**
 * PermissionDenied unless the path leads, through symlinks too, to a regular file that not everybody can write to or replace: whoever names
 * a file knows whose file that is. In a directory that everybody writes to (`/tmp`) anybody may have made the file: there an owner must have.
 */
export function checkNamedFile(sys: Syscalls, path: string, owners: Owners): void {
  const rule: Rule = {
    isOwner: (uid, dir) => dir === undefined || !isForAll(dir) || owners.includes(uid),
    isWritable: isForAll,
  };
  checkEnd(sys, path, rule, rule);
}

function checkEnd(sys: Syscalls, path: string, { isOwner, isWritable }: Rule, above: Rule): void {
  const walking = new Walk(sys, above);
  try {
    const { stat, dir } = walking.toFile(path);
    if (stat === undefined) throw new HawserError('NotFound', `${path} does not exist`);
    if ((stat.mode & S_IFMT) !== S_IFREG) throw refused(path, 'is no regular file');
    if (!isOwner(stat.uid, dir)) throw refused(path, `belongs to user ${stat.uid}`);
    if (isWritable(stat)) throw refused(path, 'can be written to by other users');
  } finally {
    walking.close();
  }
}

/** What a path may go through. */
interface Rule {
  /** `dir`: the directory that has the entry; undefined for the root. */
  readonly isOwner: (uid: number, dir: Stat | undefined) => boolean;
  readonly isWritable: (stat: Stat) => boolean;
}

function onlyOwners(owners: Owners): Rule {
  return { isOwner: (uid) => owners.includes(uid), isWritable };
}

function walk(sys: Syscalls, path: string, owners: Owners): Dir {
  const walking = new Walk(sys, onlyOwners(owners));
  try {
    return walking.to(path);
  } finally {
    walking.close();
  }
}

/** The directories from the root down to where the walk is, all open. */
class Walk {
  readonly #sys: Syscalls;
  readonly #rule: Rule;
  readonly #above: Dir[] = [];
  #dir: Dir;
  #links = 0;

  constructor(sys: Syscalls, rule: Rule) {
    this.#sys = sys;
    this.#rule = rule;
    this.#dir = sys.openRoot('/');
  }

  /** Hands the last directory over; `close` closes the others. */
  to(path: string): Dir {
    this.#check('/');
    const rest = namesOf(fromUtf8(path));
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      if (name === '..') this.#up();
      else rest.unshift(...this.#down(name, path));
    }
    const last = this.#dir;
    this.#dir = this.#above.pop() ?? this.#sys.openRoot('/');
    return last;
  }

  /** What the path leads to (undefined when there is nothing), and the directory that has that. */
  toFile(path: string): { readonly stat: Stat | undefined; readonly dir: Stat } {
    this.#check('/');
    const rest = namesOf(fromUtf8(path));
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      if (name === '..') this.#up();
      else {
        const stat = this.#sys.lstat(this.#dir, name);
        if (stat === undefined || (rest.length === 0 && !isSymlink(stat)))
          return { stat, dir: this.#sys.fstat(this.#dir) };
        rest.unshift(...this.#down(name, path));
      }
    }
    const dir = this.#sys.fstat(this.#dir);
    return { stat: dir, dir };
  }

  close(): void {
    for (const dir of [...this.#above.splice(0), this.#dir]) this.#sys.closeDir(dir);
  }

  #up(): void {
    const parent = this.#above.pop();
    if (parent === undefined) return;
    this.#sys.closeDir(this.#dir);
    this.#dir = parent;
  }

  /** Enters a directory. For a symlink returns the components to go on with. */
  #down(name: ByteString, path: string): ByteString[] {
    const stat = this.#sys.lstat(this.#dir, name);
    if (stat !== undefined && isSymlink(stat)) return this.#link(name, stat, path);
    const next = this.#sys.openDir(this.#dir, name);
    this.#above.push(this.#dir);
    this.#dir = next;
    this.#check(path);
    return [];
  }

  #link(name: ByteString, stat: Stat, path: string): ByteString[] {
    if (!this.#rule.isOwner(stat.uid, this.#sys.fstat(this.#dir)))
      throw refused(path, `goes through a symlink of user ${stat.uid}`);
    if (++this.#links > MAX_LINKS) throw refused(path, 'goes through too many symlinks');
    const target = this.#sys.readlink(this.#dir, name);
    if (target.startsWith('/')) while (this.#above.length > 0) this.#up();
    return namesOf(target);
  }

  #check(path: string): void {
    const stat = this.#sys.fstat(this.#dir);
    if (!isDirectory(stat)) throw refused(path, 'goes through something that is no directory');
    const above = this.#above.at(-1);
    if (!this.#rule.isOwner(stat.uid, above && this.#sys.fstat(above)))
      throw refused(path, `goes through a directory of user ${stat.uid}`);
    if (this.#rule.isWritable(stat) && (stat.mode & STICKY) === 0) {
      throw refused(path, 'goes through a directory that other users can write to');
    }
  }
}

function namesOf(path: ByteString): ByteString[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

/** By others than root and root's own group. */
function isWritable({ mode, gid }: Stat): boolean {
  return (mode & OTHERS_WRITE) !== 0 || ((mode & GROUP_WRITE) !== 0 && gid !== 0);
}

function isForAll({ mode }: Stat): boolean {
  return (mode & OTHERS_WRITE) !== 0;
}

function refused(path: string, why: string): HawserError {
  return new HawserError('PermissionDenied', `${path} ${why}`);
}
