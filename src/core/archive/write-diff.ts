/** The layer that makes one tree of another: a tar archive with whiteouts (image-spec, layer.md; containerd's diff service). */
import { type ByteString, display } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import {
  isDirectory,
  isSymlink,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  type Stat,
  type Syscalls,
} from '../ports/syscalls.ts';
import { isSameInode, isSameMap, isSameStat, type LinkGroups, linkGroups } from './same-in-trees.ts';
import { StackedDir as Place, type StackedDir, type StackedEntry, type StackedTree } from './stacked-tree.ts';
import { ARCHIVE_END, type EntryHeader, entryHeader, padding } from './write-entry.ts';

/** Bytes read at once. */
const PIECE = 1 << 18;
const NOTHING = new Uint8Array(0);
const WHITEOUT = { mode: 0, uid: 0, gid: 0, mtime: { sec: 0, nsec: 0 } };

/** A place in both trees; `lower` is undefined where the lower tree has no directory. */
interface Level {
  readonly path: ByteString;
  readonly lower: StackedDir | undefined;
  readonly upper: StackedDir;
  /** The directory's own entry, until it is written. */
  own: (() => Uint8Array) | undefined;
  readonly above: Level | undefined;
}

/**
 * The archive that, applied to `lower`, gives `upper`: entries of what is new or differs, with the directories on the way, and
 * whiteouts. Entries are sorted by name. Sockets are left out. Empty pieces let others have a turn. The trees must not
 * change meanwhile: a file that shrinks is Aborted.
 */
export function* writeDiff(sys: Syscalls, lower: StackedTree, upper: StackedTree): Generator<Uint8Array> {
  yield* new Diff(sys, lower, upper).run();
  yield ARCHIVE_END;
}

class Diff {
  readonly #sys: Syscalls;
  readonly #lower: StackedTree;
  readonly #upper: StackedTree;
  #lowerLinks: LinkGroups = new Map();
  #upperLinks: LinkGroups = new Map();
  /** The first path that was written of each file with several names. */
  readonly #written = new Map<string, ByteString>();

  constructor(sys: Syscalls, lower: StackedTree, upper: StackedTree) {
    this.#sys = sys;
    this.#lower = lower;
    this.#upper = upper;
  }

  *run(): Generator<Uint8Array> {
    this.#lowerLinks = yield* inTurns(linkGroups(this.#lower));
    this.#upperLinks = yield* inTurns(linkGroups(this.#upper));
    if (this.#upper.isEmpty) return yield* this.#emptied();
    const stat = this.#upper.rootStat();
    const root: Level = {
      ...{ path: '', lower: this.#lower.isEmpty ? undefined : this.#lower.root, upper: this.#upper.root },
      own: () => this.#directory('./', stat, this.#upper.rootAttributes()),
      above: undefined,
    };
    if (!this.#isSameRoot(stat)) yield* flush(root);
    yield* this.#level(root);
  }

  /** Nothing is left of the lower tree. */
  *#emptied(): Generator<Uint8Array> {
    if (this.#lower.isEmpty) return;
    for (const name of [...this.#lower.list(this.#lower.root).keys()].sort()) yield whiteout('', name);
  }

  #isSameRoot(stat: Stat): boolean {
    if (this.#lower.isEmpty) return false;
    const before = this.#lower.rootStat();
    return isSameStat(before, stat) && isSameMap(this.#lower.rootAttributes(), this.#upper.rootAttributes());
  }

  *#level(level: Level): Generator<Uint8Array> {
    const { lower, upper } = level;
    if (lower !== undefined && this.#isSameDir(lower, upper)) return this.#leave(level);
    const before = lower === undefined ? new Map<ByteString, StackedEntry>() : this.#lower.list(lower);
    const now = this.#upper.list(upper);
    for (const name of [...new Set([...before.keys(), ...now.keys()])].sort()) {
      yield NOTHING;
      const [old, entry] = [before.get(name), now.get(name)];
      if (entry !== undefined && name.startsWith('.wh.')) throw unspeakable(level.path, name);
      if (entry === undefined) {
        yield* flush(level);
        yield whiteout(level.path, name);
      } else if (isDirectory(entry.stat)) yield* this.#below(level, name, old, entry);
      else yield* this.#file(level, name, old, entry);
    }
    this.#leave(level);
  }

  #leave({ lower, upper }: Level): void {
    if (lower !== undefined) this.#lower.leave(lower);
    this.#upper.leave(upper);
  }

  /** The same directories of the same layers: nothing in them can differ. Names of one file may be elsewhere. */
  #isSameDir(lower: StackedDir, upper: StackedDir): boolean {
    if (this.#lowerLinks.size + this.#upperLinks.size > 0) return false;
    return this.#lower.identity(lower) === this.#upper.identity(upper);
  }

  *#below(
    level: Level,
    name: ByteString,
    old: StackedEntry | undefined,
    entry: StackedEntry,
  ): Generator<Uint8Array> {
    const path = `${level.path}${name}`;
    const isOld = old !== undefined && isDirectory(old.stat) && level.lower !== undefined;
    const attributes = () => this.#upper.attributes(level.upper, name, entry);
    const next: Level = {
      path: `${path}/`,
      lower: isOld ? new Place(level.lower, name) : undefined,
      upper: new Place(level.upper, name),
      own: () => this.#directory(`${path}/`, entry.stat, attributes()),
      above: level,
    };
    if (!isOld || !this.#isSame(level, name, old, entry)) yield* flush(next);
    yield* this.#level(next);
  }

  #directory(path: ByteString, stat: Stat, xattrs: ReadonlyMap<ByteString, Uint8Array>): Uint8Array {
    const { mode, uid, gid, mtime } = stat;
    return entryHeader({ path, type: '5', mode, uid, gid, mtime, xattrs });
  }

  *#file(
    level: Level,
    name: ByteString,
    old: StackedEntry | undefined,
    entry: StackedEntry,
  ): Generator<Uint8Array> {
    const path = `${level.path}${name}`;
    const links = this.#upperLinks.get(path);
    const isRelinked = links !== this.#lowerLinks.get(path);
    if (!isRelinked && old !== undefined && this.#isSame(level, name, old, entry)) {
      if (!(yield* this.#mayDiffer(level, name, old, entry))) return;
    }
    const header = this.#header(path, level, name, entry);
    if (header === undefined) return;
    yield* flush(level);
    const first = links === undefined ? undefined : this.#written.get(links);
    if (links !== undefined && first !== undefined) {
      yield entryHeader({ ...header, type: '1', size: 0, link: first });
      return;
    }
    if (links !== undefined) this.#written.set(links, path);
    yield entryHeader(header);
    if (header.type === '0') yield* this.#content(level, name, entry);
  }

  /** Undefined for a socket, which no archive can hold. */
  #header(path: ByteString, level: Level, name: ByteString, entry: StackedEntry): EntryHeader | undefined {
    const { stat } = entry;
    const { mode, uid, gid, mtime, rdevMajor: devMajor, rdevMinor: devMinor } = stat;
    const xattrs = this.#upper.attributes(level.upper, name, entry);
    const common = { path, mode, uid, gid, mtime, xattrs };
    switch (mode & S_IFMT) {
      case S_IFREG:
        return { ...common, type: '0', size: stat.size };
      case S_IFCHR:
        return { ...common, type: '3', devMajor, devMinor };
      case S_IFBLK:
        return { ...common, type: '4', devMajor, devMinor };
      case S_IFIFO:
        return { ...common, type: '6' };
    }
    if (!isSymlink(stat)) return undefined;
    return { ...common, type: '2', link: this.#sys.readlink(this.#upper.at(level.upper, entry), name) };
  }

  *#content(level: Level, name: ByteString, entry: StackedEntry): Generator<Uint8Array> {
    const { size } = entry.stat;
    const fd = this.#sys.openFile(this.#upper.at(level.upper, entry), name);
    try {
      for (let left = size; left > 0; ) {
        const piece = new Uint8Array(Math.min(left, PIECE));
        const got = this.#sys.read(fd, piece);
        if (got === 0) throw new HawserError('Aborted', `${display(name)} became shorter while it was read`);
        left -= got;
        yield piece.subarray(0, got);
      }
    } finally {
      this.#sys.closeFile(fd);
    }
    yield padding(size);
  }

  /** By all that a header says. */
  #isSame(level: Level, name: ByteString, old: StackedEntry, now: StackedEntry): boolean {
    if (isSameInode(old.stat, now.stat)) return true;
    if (level.lower === undefined || !isSameStat(old.stat, now.stat)) return false;
    if (
      isSymlink(now.stat) &&
      this.#target(this.#lower, level.lower, name, old) !== this.#target(this.#upper, level.upper, name, now)
    )
      return false;
    const before = this.#lower.attributes(level.lower, name, old);
    return isSameMap(before, this.#upper.attributes(level.upper, name, now));
  }

  #target(tree: StackedTree, dir: StackedDir, name: ByteString, entry: StackedEntry): ByteString {
    return this.#sys.readlink(tree.at(dir, entry), name);
  }

  /** Whether the contents of two files differ that are the same in all else. */
  *#mayDiffer(
    level: Level,
    name: ByteString,
    old: StackedEntry,
    now: StackedEntry,
  ): Generator<Uint8Array, boolean> {
    if ((now.stat.mode & S_IFMT) !== S_IFREG || isSameInode(old.stat, now.stat) || level.lower === undefined)
      return false;
    const one = this.#sys.openFile(this.#lower.at(level.lower, old), name);
    try {
      const other = this.#sys.openFile(this.#upper.at(level.upper, now), name);
      try {
        return yield* this.#contentDiffers(one, other);
      } finally {
        this.#sys.closeFile(other);
      }
    } finally {
      this.#sys.closeFile(one);
    }
  }

  *#contentDiffers(one: number, other: number): Generator<Uint8Array, boolean> {
    const [a, b] = [new Uint8Array(PIECE), new Uint8Array(PIECE)];
    for (;;) {
      const [left, right] = [this.#fill(one, a), this.#fill(other, b)];
      if (left !== right || a.subarray(0, left).some((byte, at) => byte !== b[at])) return true;
      if (left < PIECE) return false;
      yield NOTHING;
    }
  }

  /** Reads until the buffer is full or the file ends. */
  #fill(fd: number, into: Uint8Array): number {
    let at = 0;
    for (let got = 1; got > 0 && at < into.length; at += got) got = this.#sys.read(fd, into.subarray(at));
    return at;
  }
}

/** Writes the entries of a directory and of those above it that are not written yet. */
function* flush(level: Level): Generator<Uint8Array> {
  const waiting: (() => Uint8Array)[] = [];
  for (let at: Level | undefined = level; at !== undefined; at = at.above) {
    if (at.own !== undefined) waiting.push(at.own);
    at.own = undefined;
  }
  for (const own of waiting.reverse()) yield own();
}

/** A generator that has no bytes to give. */
function* inTurns<T>(work: Generator<undefined, T>): Generator<Uint8Array, T> {
  for (;;) {
    const next = work.next();
    if (next.done === true) return next.value;
    yield NOTHING;
  }
}

function unspeakable(path: ByteString, name: ByteString): HawserError {
  const what = `Cannot make a layer with ${display(`${path}${name}`)}: a name that begins with .wh. stands for a removal`;
  return new HawserError('FailedPrecondition', what);
}

function whiteout(path: ByteString, name: ByteString): Uint8Array {
  return entryHeader({ ...WHITEOUT, path: `${path}.wh.${name}`, type: '0' });
}
