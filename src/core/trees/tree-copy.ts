import type { ByteString } from '../bytes.ts';
import type { Call } from '../ports/call.ts';
import { type Dir, isDirectory, type Stat, type Syscalls } from '../ports/syscalls.ts';
import { copyBuffer, copyEntry } from './copy-entry.ts';
import { type DirStack, withStack } from './dir-stack.ts';
import { copyAttributes, dirInode, namedInode } from './inode.ts';
import { mountedAt, refuseMountsIn } from './mounts.ts';

const PIECE = 1024 * 1024;

/** The copy has everything: overlayfs's attributes in it are no marks of ours, for a copied tree is no overlay layer. */
const EVERYTHING = { overlayKeys: true };

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
 * atomic: after an error `to` holds a part. Something mounted in `from` is FailedPrecondition (reason `mounted`): nobody can
 * tell what is under the mount.
 */
export function copyTree(
  sys: Syscalls,
  from: string,
  to: string,
  opts: { standing?: Standing } & Call = {},
): void {
  refuseMountsIn(sys, from, `copying ${JSON.stringify(from)}`);
  withStack(sys, from, (source) =>
    withStack(sys, to, (target) => {
      new Copy(sys, source, target, opts).run(opts.standing);
      sys.flush();
    }),
  );
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

class Copy {
  readonly #sys: Syscalls;
  readonly #source: DirStack;
  readonly #target: DirStack;
  readonly #call: Call;
  readonly #frames: Frame[] = [];
  readonly #linked: Map<string, Linked> = new Map();
  readonly #buffer: Uint8Array = copyBuffer(PIECE);

  constructor(sys: Syscalls, source: DirStack, target: DirStack, call: Call) {
    this.#sys = sys;
    this.#source = source;
    this.#target = target;
    this.#call = call;
  }

  run(standing: Standing | undefined): void {
    this.#enter(standing);
    for (let frame = this.#frames.at(-1); frame !== undefined; frame = this.#frames.at(-1)) {
      this.#call.signal?.throwIfAborted();
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
    if (there === undefined) {
      this.#entry(name, inside);
      return;
    }
    const stat = isDirectory(there) ? this.#sys.lstat(this.#source.current, name) : undefined;
    if (stat !== undefined && isDirectory(stat)) this.#descend(name, inside ?? PLAIN);
  }

  #descend(name: ByteString, standing: Standing | undefined): void {
    if (this.#sys.isMountPoint(this.#source.current, name)) {
      throw mountedAt('copying a tree', [...this.#source.names, name].join('/'));
    }
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
    else copyAttributes(dirInode(this.#sys, source), stat, dirInode(this.#sys, target), EVERYTHING);
    this.#frames.pop();
    if (this.#frames.length === 0) return;
    this.#source.pop();
    this.#target.pop();
  }

  /** `standing`: of a directory that the target has not, but has something to say of. */
  #entry(name: ByteString, standing?: Standing): void {
    const sys = this.#sys;
    const stat = sys.lstat(this.#source.current, name);
    if (stat === undefined) return;
    if (isDirectory(stat)) {
      sys.mkdir(this.#target.current, name, 0o700);
      this.#descend(name, standing);
      return;
    }
    if (stat.nlink > 1 && this.#link(stat, name)) return;
    const from = this.#source.current;
    const to = this.#target.current;
    copyEntry(sys, name, { from, stat, to, buffer: this.#buffer }, this.#call);
    copyAttributes(namedInode(sys, from, name), stat, namedInode(sys, to, name), EVERYTHING);
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
}
