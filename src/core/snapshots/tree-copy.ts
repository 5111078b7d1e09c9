import type { ByteString } from '../bytes.ts';
import type { Call } from '../ports/call.ts';
import { type Dir, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, type Stat, type Syscalls } from '../ports/syscalls.ts';
import { DirStack } from './dir-stack.ts';

const PIECE = 1024 * 1024;
/** Holes are found by this unit. */
const BLOCK = 4096;

/** A directory of the target that was there before, and what of the source shows through it. */
export interface Standing {
  /** What the source has at `name` is left out. */
  hides(name: ByteString): boolean;
  /** The directory at `name`, when the target has one, or has something to say of the source's. */
  inside(name: ByteString): Standing | undefined;
  /** It keeps its own attributes; otherwise it gets the source's. */
  readonly keeps: boolean;
}

/** A directory that has nothing to say. */
const PLAIN: Standing = { hides: () => false, inside: () => undefined, keeps: true };

/**
 * Copies what is in the directory `from`, and that directory's own attributes, to the existing directory `to`: types,
 * owners, modes, extended attributes, times, hard links, devices, holes. `to` should be empty (AlreadyExists otherwise),
 * unless it is `standing`: then what is in it stays, and the source comes below it. Synchronous: for workers. Not
 * atomic: after an error `to` holds a part.
 */
export function copyTree(
  sys: Syscalls,
  from: string,
  to: string,
  opts: { standing?: Standing } & Call = {},
): void {
  const source = new DirStack(sys, sys.openRoot(from));
  try {
    const target = new DirStack(sys, sys.openRoot(to));
    try {
      new Copy(sys, source, target, opts).run(opts.standing);
      sys.flush();
    } finally {
      target.close();
    }
  } finally {
    source.close();
  }
}

interface Frame {
  readonly names: ByteString[];
  readonly stat: Stat;
  readonly standing: Standing | undefined;
  /** Of a standing directory, before anything was copied into it. */
  readonly before: Stat | undefined;
}

/** The first copy of an inode with several names, and how many more names are to come. */
interface Linked {
  readonly way: readonly ByteString[];
  readonly name: ByteString;
  left: number;
}

function isDirectory(stat: Stat | undefined): boolean {
  return stat !== undefined && (stat.mode & S_IFMT) === S_IFDIR;
}

class Copy {
  readonly #sys: Syscalls;
  readonly #source: DirStack;
  readonly #target: DirStack;
  readonly #signal: AbortSignal | undefined;
  readonly #frames: Frame[] = [];
  readonly #linked: Map<string, Linked> = new Map();
  readonly #buffer: Uint8Array = new Uint8Array(PIECE);

  constructor(sys: Syscalls, source: DirStack, target: DirStack, call: Call) {
    this.#sys = sys;
    this.#source = source;
    this.#target = target;
    this.#signal = call.signal;
  }

  run(standing: Standing | undefined): void {
    this.#enter(standing);
    for (let frame = this.#frames.at(-1); frame !== undefined; frame = this.#frames.at(-1)) {
      this.#signal?.throwIfAborted();
      const name = frame.names.pop();
      if (name === undefined) this.#leave(frame);
      else if (frame.standing === undefined) this.#entry(name);
      else this.#below(frame.standing, name);
    }
  }

  #enter(standing: Standing | undefined): void {
    const stat = this.#sys.fstat(this.#source.current);
    const before = standing?.keeps === true ? this.#sys.fstat(this.#target.current) : undefined;
    this.#frames.push({ names: this.#sys.list(this.#source.current), stat, standing, before });
  }

  /** What the source has at `name` comes below what stands there. */
  #below(standing: Standing, name: ByteString): void {
    if (standing.hides(name)) return;
    const there = this.#sys.lstat(this.#target.current, name);
    const inside = standing.inside(name);
    if (there === undefined) this.#entry(name, inside);
    else if (isDirectory(there) && isDirectory(this.#sys.lstat(this.#source.current, name))) {
      this.#descend(name, inside ?? PLAIN);
    }
  }

  #descend(name: ByteString, standing: Standing | undefined): void {
    this.#source.push(name);
    this.#target.push(name);
    this.#enter(standing);
  }

  /** A directory's attributes come last: a default ACL would pass to what is made in it, and its times would change. */
  #leave(frame: Frame): void {
    const source = this.#source.current;
    const target = this.#target.current;
    const { stat, before } = frame;
    if (before !== undefined) this.#sys.utimesDir(target, before.atime, before.mtime);
    else this.#describe(source, target, stat);
    this.#frames.pop();
    if (this.#frames.length === 0) return;
    this.#source.pop();
    this.#target.pop();
  }

  #describe(source: Dir, target: Dir, stat: Stat): void {
    this.#sys.chownDir(target, stat.uid, stat.gid);
    for (const key of this.#sys.listxattrDir(source)) {
      const value = this.#sys.getxattrDir(source, key);
      if (value !== undefined) this.#sys.setxattrDir(target, key, value);
    }
    this.#sys.chmodDir(target, stat.mode & 0o7777);
    this.#sys.utimesDir(target, stat.atime, stat.mtime);
  }

  /** `standing`: of a directory that the target has not, but has something to say of. */
  #entry(name: ByteString, standing?: Standing): void {
    const sys = this.#sys;
    const stat = sys.lstat(this.#source.current, name);
    if (stat === undefined) return;
    const type = stat.mode & S_IFMT;
    if (type === S_IFDIR) {
      sys.mkdir(this.#target.current, name, 0o700);
      this.#descend(name, standing);
      return;
    }
    if (stat.nlink > 1 && this.#link(stat, name)) return;
    const target = this.#target.current;
    if (type === S_IFREG) this.#file(name, stat);
    else if (type === S_IFLNK) sys.symlink(sys.readlink(this.#source.current, name), target, name);
    else sys.mknod(target, name, type | 0o600, stat.rdevMajor, stat.rdevMinor);
    this.#attributes(name, stat);
  }

  /** True when the inode was copied before and has got a further name. */
  #link(stat: Stat, name: ByteString): boolean {
    const key = `${stat.dev} ${stat.ino}`;
    const first = this.#linked.get(key);
    if (first === undefined) {
      this.#linked.set(key, { way: [...this.#target.names], name, left: stat.nlink - 1 });
      return false;
    }
    if (--first.left === 0) this.#linked.delete(key);
    this.#inside(first.way, (dir) => this.#sys.link(dir, first.name, this.#target.current, name));
    return true;
  }

  /** Opens the way down from the target's root, for the time of `work`. */
  #inside(way: readonly ByteString[], work: (dir: Dir) => void): void {
    let dir = this.#target.root;
    try {
      for (const name of way) {
        const next = this.#sys.openDir(dir, name);
        if (dir !== this.#target.root) this.#sys.closeDir(dir);
        dir = next;
      }
      work(dir);
    } finally {
      if (dir !== this.#target.root) this.#sys.closeDir(dir);
    }
  }

  #attributes(name: ByteString, stat: Stat): void {
    const sys = this.#sys;
    const source = this.#source.current;
    const target = this.#target.current;
    sys.chown(target, name, stat.uid, stat.gid);
    for (const key of sys.listxattr(source, name)) {
      const value = sys.getxattr(source, name, key);
      if (value !== undefined) sys.setxattr(target, name, key, value);
    }
    if ((stat.mode & S_IFMT) !== S_IFLNK) sys.chmod(target, name, stat.mode & 0o7777);
    sys.utimes(target, name, stat.atime, stat.mtime);
  }

  #file(name: ByteString, stat: Stat): void {
    const sys = this.#sys;
    const input = sys.openFile(this.#source.current, name);
    try {
      const output = sys.createFile(this.#target.current, name, 0o600);
      try {
        this.#contents(input, output, stat.blocks * 512 < stat.size);
      } finally {
        sys.closeFile(output);
      }
    } finally {
      sys.closeFile(input);
    }
  }

  #contents(input: number, output: number, sparse: boolean): void {
    let at = 0;
    for (;;) {
      this.#signal?.throwIfAborted();
      const got = this.#sys.read(input, this.#buffer);
      if (got === 0) break;
      const bytes = this.#buffer.subarray(0, got);
      if (sparse) this.#data(output, bytes, at);
      else this.#sys.write(output, bytes);
      at += got;
    }
    if (sparse) this.#sys.truncateFile(output, at);
  }

  /** Writes runs of blocks that are not all zero. */
  #data(output: number, bytes: Uint8Array, at: number): void {
    let start = 0;
    for (let block = 0; block < bytes.length; block += BLOCK) {
      const piece = bytes.subarray(block, block + BLOCK);
      if (piece.some((byte) => byte !== 0)) continue;
      if (start < block) this.#sys.writeAt(output, bytes.subarray(start, block), at + start);
      start = block + BLOCK;
    }
    if (start < bytes.length) this.#sys.writeAt(output, bytes.subarray(start), at + start);
  }
}
