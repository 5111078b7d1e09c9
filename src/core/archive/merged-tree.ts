/**
 * The tree a layer is applied to, as seen through directory handles: the directory that takes the layer ("upper") over
 * those of the layers below ("lowers", nearest first). Every step is one path component below an open handle and never
 * follows a symlink; symlinks are resolved here, inside the tree. So nothing in an archive can name anything outside,
 * whatever the bookkeeping says.
 */
import type { ByteString } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import {
  type Dir,
  isDirectory,
  isSymlink,
  S_IFCHR,
  S_IFMT,
  type Stat,
  type Syscalls,
} from '../ports/syscalls.ts';
import { DirNode, type Handles, isBare } from './dir-node.ts';
import { Guesses } from './guesses.ts';

/** As the kernel's MAXSYMLINKS would be 40 and containerd's is 255. */
const MAX_LINKS = 255;
/** Components walked for one name, those of symlinks' targets included: a layer must not make each of its names costly. */
const MAX_STEPS = 20_000;
export const MAX_DEPTH = 1024;
/** Open directories kept between entries. */
const MAX_OPEN = 256;

export interface Found {
  readonly stat: Stat;
  /** Where it is. */
  readonly dir: Dir;
  readonly lower: boolean;
}

/** A directory, and below it names that are not (yet) directories. */
export interface Place {
  readonly node: DirNode;
  readonly missing: readonly ByteString[];
}

/** overlayfs: a character device 0:0. */
export function isWhiteout(stat: Stat): boolean {
  return (stat.mode & S_IFMT) === S_IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0;
}

const Y = 0x79;

export class MergedTree {
  readonly root: DirNode = new DirNode(undefined, '');
  readonly sys: Syscalls;
  /** Of a tree whose layers below are unknown: what it took for granted about them. */
  readonly guesses: Guesses | undefined;
  /** Nodes that hold handles, least recently used first. */
  readonly #open = new Set<DirNode>();
  #count = 0;
  #latest: DirNode | undefined;
  readonly #unlocks: boolean;
  readonly #lowerRoots: readonly string[];

  /**
   * `lowers` unknown: names that are not in `upper` are taken to be directories or absent below, and noted as such. `unlocks`:
   * permissions hold for this process, so it gives itself access to each directory that it enters.
   */
  constructor(sys: Syscalls, upper: string, lowers: readonly string[] | 'unknown', unlocks = false) {
    this.sys = sys;
    this.#unlocks = unlocks;
    this.guesses = lowers === 'unknown' ? new Guesses() : undefined;
    this.#lowerRoots = lowers === 'unknown' ? [] : lowers;
    const top = sys.openRoot(upper);
    this.root.handles = handlesOf(top);
    this.#unlock(
      this.root,
      () => sys.fstat(top),
      (mode) => sys.chmodDir(top, mode),
    );
  }

  /** What `name` is in the merged view of a directory. */
  lookup(node: DirNode, name: ByteString): Found | undefined {
    const upper = this.upper(node);
    const stat = upper && this.sys.lstat(upper, name);
    if (upper !== undefined && stat !== undefined) return { stat, dir: upper, lower: false };
    return node.hides(name) ? undefined : this.lookupBelow(node, name);
  }

  /** The same in the layers below, whatever this layer hides. */
  lookupBelow(node: DirNode, name: ByteString): Found | undefined {
    for (let i = 0; ; i++) {
      const dir = this.#lower(node, i);
      if (dir === undefined) return undefined;
      const stat = this.sys.lstat(dir, name);
      if (stat !== undefined) return isWhiteout(stat) ? undefined : { stat, dir, lower: true };
    }
  }

  /** The handle of a directory in the layer, if it is there: valid until `trim`, `forget` or `drop`. */
  upper(node: DirNode): Dir | undefined {
    return this.#handles(node).upper;
  }

  /** Those of the layers below, nearest first, as far as they show through one another. Valid as long. */
  *lowers(node: DirNode): Generator<Dir, void> {
    for (let i = 0, dir = this.#lower(node, 0); dir !== undefined; dir = this.#lower(node, ++i)) yield dir;
  }

  #handles(node: DirNode): Handles {
    if (node.handles !== undefined) {
      if (node.parent !== undefined) this.#touch(node);
      return node.handles;
    }
    if (node.parent === undefined) throw new HawserError('Internal', 'the tree is closed');
    const above = this.upper(node.parent);
    const stat = above && this.sys.lstat(above, node.name);
    let upper: Dir | undefined;
    if (above !== undefined && stat !== undefined && isDirectory(stat)) {
      this.#unlock(
        node,
        () => stat,
        (mode) => this.sys.chmod(above, node.name, mode),
      );
      upper = this.sys.openDir(above, node.name);
    }
    node.handles = handlesOf(upper);
    this.#count++;
    this.#touch(node);
    return node.handles;
  }

  #unlock(node: DirNode, stat: () => Stat, chmod: (mode: number) => void): void {
    if (!this.#unlocks) return;
    const mode = stat().mode & 0o7777;
    if ((mode & 0o700) === 0o700) return;
    chmod(mode | 0o700);
    node.locked ??= mode;
  }

  #touch(node: DirNode): void {
    if (this.#latest === node) return;
    this.#latest = node;
    this.#open.delete(node);
    this.#open.add(node);
  }

  /** They are opened one after another: most often nobody asks for all, and there may be hundreds. */
  #lower(node: DirNode, index: number): Dir | undefined {
    const handles = this.#handles(node);
    while (handles.lowers.length <= index && !handles.complete) {
      const dir = this.#openNext(node, handles);
      if (dir === undefined) handles.complete = true;
      else handles.lowers.push(dir);
    }
    return handles.lowers[index];
  }

  #openNext({ parent, name }: DirNode, handles: Handles): Dir | undefined {
    if (parent === undefined) {
      const path = this.#lowerRoots[handles.searched++];
      return path === undefined ? undefined : this.sys.openRoot(path);
    }
    if (parent.hides(name)) return undefined;
    for (;;) {
      const above = this.#lower(parent, handles.searched++);
      const stat = above && this.sys.lstat(above, name);
      if (above === undefined || (stat !== undefined && !isDirectory(stat))) return undefined;
      if (stat === undefined) continue;
      // Asked only of a directory that has another below it, for it is dear with some providers.
      const last = handles.lowers.at(-1);
      if (last !== undefined && this.#isOpaque(last)) return undefined;
      this.#count++;
      return this.sys.openDir(above, name);
    }
  }

  #isOpaque(dir: Dir): boolean {
    const value =
      this.sys.getxattrDir(dir, 'trusted.overlay.opaque') ?? this.sys.getxattrDir(dir, 'user.overlay.opaque');
    return value?.length === 1 && value[0] === Y;
  }

  /**
   * Walks `parts` from the root, following symlinks inside the tree (absolute ones from its root, `..` not above it).
   * From the first component that is absent or no directory on, the rest is `missing`.
   */
  resolve(parts: readonly ByteString[]): Place {
    const pending = [...parts].reverse();
    const missing: ByteString[] = [];
    let node = this.root;
    let links = 0;
    let steps = 0;
    for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
      steps++;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (missing.pop() === undefined) node = node.parent ?? node;
        continue;
      }
      if (node.depth + missing.length >= MAX_DEPTH) throw tooDeep();
      const found = missing.length > 0 ? undefined : (node.children.get(part) ?? this.lookup(node, part));
      if (found instanceof DirNode) node = found;
      else if (found !== undefined && isDirectory(found.stat)) node = this.adopt(node, part);
      else if (found !== undefined && isSymlink(found.stat)) {
        links++;
        if (links > MAX_LINKS || steps > MAX_STEPS)
          throw new HawserError('InvalidArgument', 'too many symbolic links');
        const target = this.sys.readlink(found.dir, part);
        if (target.startsWith('/')) node = this.root;
        pending.push(...target.split('/').reverse());
      } else if (found === undefined && missing.length === 0 && this.showsUnknown(node, part)) {
        this.guesses?.add(node, part);
        node = this.adopt(node, part);
      } else missing.push(part);
    }
    return { node, missing };
  }

  /** Whether what is at `name` is for a layer below to say, and nobody knows what it says. */
  showsUnknown(node: DirNode, name: ByteString): boolean {
    return this.guesses !== undefined && !node.hides(name) && !isBare(node);
  }

  /** The node of a directory that exists in the merged view, or may exist below. */
  adopt(parent: DirNode, name: ByteString): DirNode {
    let node = parent.children.get(name);
    if (node === undefined) {
      node = new DirNode(parent, name);
      parent.children.set(name, node);
    }
    return node;
  }

  /** Closes a directory's handles, to be opened anew: something about it has changed. */
  forget(node: DirNode): void {
    if (node.handles === undefined || node.parent === undefined) return;
    const { upper, lowers } = node.handles;
    this.#count -= 1 + lowers.length;
    this.#open.delete(node);
    if (this.#latest === node) this.#latest = undefined;
    node.handles = undefined;
    if (upper !== undefined) this.sys.closeDir(upper);
    for (const dir of lowers) this.sys.closeDir(dir);
  }

  /** Drops all that is known of a directory that is no more. */
  drop(parent: DirNode, name: ByteString): void {
    // Asked for each new file, and a lookup of a name that is new costs more than all else here.
    const node = parent.children.size === 0 ? undefined : parent.children.get(name);
    if (node === undefined) return;
    parent.children.delete(name);
    const doomed = [node];
    for (let next = doomed.pop(); next !== undefined; next = doomed.pop()) {
      this.forget(next);
      doomed.push(...next.children.values());
    }
  }

  /** Closes what is over the limit, oldest first. No handle that was got before may be used after. */
  trim(): void {
    if (this.#count <= MAX_OPEN) return;
    for (const node of this.#open) {
      if (this.#count <= MAX_OPEN / 2) return;
      this.forget(node);
    }
  }

  close(): void {
    for (const node of [...this.#open]) this.forget(node);
    const held = this.root.handles;
    this.root.handles = undefined;
    if (held?.upper !== undefined) this.sys.closeDir(held.upper);
    for (const dir of held?.lowers ?? []) this.sys.closeDir(dir);
  }
}

function handlesOf(upper: Dir | undefined): Handles {
  return { upper, lowers: [], searched: 0, complete: false };
}

export function tooDeep(): HawserError {
  return new HawserError('InvalidArgument', `a path of more than ${MAX_DEPTH} components`);
}
