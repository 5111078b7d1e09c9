/** Paths that nobody but root can change: what root does below them, nobody else can turn to another place. */
import { type ByteString, fromUtf8 } from '../../core/bytes.ts';
import { HawserError } from '../../core/errors.ts';
import {
  type Dir,
  isDirectory,
  isSymlink,
  S_IFMT,
  S_IFSOCK,
  type Stat,
  type Syscalls,
} from '../../core/ports/syscalls.ts';

/** The kernel's limit for one path (MAXSYMLINKS). */
const MAX_LINKS = 40;
const STICKY = 0o1000;
const GROUP_WRITE = 0o020;
const OTHERS_WRITE = 0o002;

/**
 * Opens a directory, component by component. Every directory on the way belongs to root and only root may write to it, or it is
 * sticky; a symlink belongs to root. Else PermissionDenied. The caller closes the handle.
 */
export function openRootOnly(sys: Syscalls, path: string): Dir {
  const walk = new Walk(sys);
  try {
    return walk.to(path);
  } finally {
    walk.close();
  }
}

/** PermissionDenied unless only root can write to the open directory. */
export function checkRootOnly(sys: Syscalls, dir: Dir, path: string): void {
  const stat = sys.fstat(dir);
  if (stat.uid !== 0) throw notRoots(path, `belongs to user ${stat.uid}`);
  if (isWritable(stat)) throw notRoots(path, 'can be written to by others than root');
}

/** PermissionDenied unless the path leads to a socket of root that only root can replace. */
export function checkRootsSocket(sys: Syscalls, path: string): void {
  const at = path.lastIndexOf('/');
  const dir = openRootOnly(sys, path.slice(0, at) || '/');
  try {
    const stat = sys.lstat(dir, fromUtf8(path.slice(at + 1)));
    if (stat === undefined || (stat.mode & S_IFMT) !== S_IFSOCK) throw notRoots(path, 'is not a socket');
    if (stat.uid !== 0) throw notRoots(path, `belongs to user ${stat.uid}`);
  } finally {
    sys.closeDir(dir);
  }
}

/** The directories from the root down to where the walk is, all open. */
class Walk {
  readonly #sys: Syscalls;
  readonly #above: Dir[] = [];
  #dir: Dir;
  #links = 0;

  constructor(sys: Syscalls) {
    this.#sys = sys;
    this.#dir = sys.openRoot('/');
  }

  /** Hands the last directory over; `close` closes the others. */
  to(path: string): Dir {
    this.#check('/');
    const rest: ByteString[] = fromUtf8(path).split('/');
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      if (name === '' || name === '.') continue;
      if (name === '..') this.#up();
      else rest.unshift(...this.#down(name, path));
    }
    const last = this.#dir;
    this.#dir = this.#above.pop() ?? this.#sys.openRoot('/');
    return last;
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
    if (stat.uid !== 0) throw notRoots(path, `goes through a symlink of user ${stat.uid}`);
    if (++this.#links > MAX_LINKS) throw notRoots(path, 'goes through too many symlinks');
    const target = this.#sys.readlink(this.#dir, name);
    if (target.startsWith('/')) while (this.#above.length > 0) this.#up();
    return target.split('/');
  }

  #check(path: string): void {
    const stat = this.#sys.fstat(this.#dir);
    if (!isDirectory(stat)) throw notRoots(path, 'goes through something that is no directory');
    if (stat.uid !== 0) throw notRoots(path, `goes through a directory of user ${stat.uid}`);
    if (isWritable(stat) && (stat.mode & STICKY) === 0) {
      throw notRoots(path, 'goes through a directory that others than root can write to');
    }
  }
}

/** By others than root and root's own group. */
function isWritable({ mode, gid }: Stat): boolean {
  return (mode & OTHERS_WRITE) !== 0 || ((mode & GROUP_WRITE) !== 0 && gid !== 0);
}

function notRoots(path: string, why: string): HawserError {
  return new HawserError('PermissionDenied', `${path} ${why}`);
}
