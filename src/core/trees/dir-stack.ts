import { type ByteString, fromUtf8 } from '../bytes.ts';
import { HawserError, isKind } from '../errors.ts';
import type { Dir, Syscalls } from '../ports/syscalls.ts';

/** The nearest levels are kept open, and every so many levels above them one (at most as many again). */
const KEPT = 64;

/** More levels below a root than any image has: a path of PATH_MAX bytes has about 2,000. */
export const MAX_DEPTH = 4096;

/**
 * Where a depth-first walk is: the way down from a root, one handle a level. Most handles far above are closed, and
 * opened again, name by name from the next one above, when the walk comes back to them.
 */
export class DirStack {
  readonly #sys: Syscalls;
  readonly root: Dir;
  readonly #maxDepth: number;
  readonly #names: ByteString[] = [];
  /** By level; the root is 0 and stays open. */
  readonly #handles: (Dir | undefined)[];

  /** The caller closes `root`, after `close`. Going deeper than `maxDepth` levels is ResourceExhausted. */
  constructor(sys: Syscalls, root: Dir, maxDepth: number = MAX_DEPTH) {
    this.#sys = sys;
    this.#maxDepth = maxDepth;
    this.root = root;
    this.#handles = [root];
  }

  /** Names from the root to here. */
  get names(): readonly ByteString[] {
    return this.#names;
  }

  get current(): Dir {
    return this.#handles[this.#names.length] ?? this.#reopen();
  }

  push(name: ByteString): void {
    if (this.#names.length >= this.#maxDepth) {
      throw new HawserError('ResourceExhausted', `walking a tree: deeper than ${this.#maxDepth} directories`);
    }
    const dir = this.#sys.openDir(this.current, name);
    this.#names.push(name);
    this.#keep(this.#names.length, dir);
  }

  pop(): void {
    this.#drop(this.#names.length);
    this.#handles.length = this.#names.length;
    this.#names.pop();
  }

  close(): void {
    for (let level = this.#handles.length - 1; level > 0; level--) this.#drop(level);
    this.#handles.length = 0;
  }

  #keep(level: number, dir: Dir): void {
    this.#handles[level] = dir;
    const far = level - KEPT;
    const landmark = far % KEPT === 0 && far <= MAX_DEPTH;
    if (far > 0 && !landmark) this.#drop(far);
  }

  #drop(level: number): void {
    const dir = this.#handles[level];
    this.#handles[level] = undefined;
    if (dir !== undefined) this.#sys.closeDir(dir);
  }

  /** Opens the way down from the nearest level above that is open. */
  #reopen(): Dir {
    let level = this.#names.length;
    while (level > 0 && this.#handles[level] === undefined) level--;
    let dir = this.#handles[level] ?? this.root;
    for (const name of this.#names.slice(level)) {
      dir = this.#sys.openDir(dir, name);
      this.#keep(++level, dir);
    }
    return dir;
  }
}

/** Opens the directory at an absolute path for the time of `work`. */
export function withRoot<T>(sys: Syscalls, path: string, work: (root: Dir) => T): T {
  const root = sys.openRoot(path);
  try {
    return work(root);
  } finally {
    sys.closeDir(root);
  }
}

/** Opens the directory that holds an absolute path, and gives `work` the path's name in there. Nothing without that directory. */
export function withParent(
  sys: Syscalls,
  path: string,
  doing: string,
  work: (parent: Dir, name: ByteString) => void,
): void {
  const trimmed = path.replace(/\/+$/, '');
  const cut = trimmed.lastIndexOf('/');
  if (cut < 0) throw new HawserError('InvalidArgument', `${doing}: not an absolute path below /`);
  let parent: Dir;
  try {
    parent = sys.openRoot(trimmed.slice(0, cut) || '/');
  } catch (err) {
    if (isKind(err, 'NotFound')) return;
    throw err;
  }
  try {
    work(parent, fromUtf8(trimmed.slice(cut + 1)));
  } finally {
    sys.closeDir(parent);
  }
}

/** As `withRoot`, for a walk from there. */
export function withStack<T>(sys: Syscalls, path: string, work: (stack: DirStack) => T): T {
  return withRoot(sys, path, (root) => {
    const stack = new DirStack(sys, root);
    try {
      return work(stack);
    } finally {
      stack.close();
    }
  });
}
