/**
 * The tree a layer is applied to, as seen through directory handles: the directory that takes the layer ("upper") over
 * those of the layers below ("lowers", nearest first). Every step is one path component below an open handle and never
 * follows a symlink; symlinks are resolved here, inside the tree. So nothing in an archive can name anything outside,
 * whatever the bookkeeping says.
 */
import type { ByteString } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import { type Dir, isDirectory, isSymlink, type Stat, type Syscalls } from '../ports/syscalls.ts';
import { DirNode, isBare } from './dir-node.ts';
import { Guesses } from './guesses.ts';
import { isWhiteout, type Kind, type KnownLayers } from './known-layers.ts';
import { LowerLayers } from './lower-chain.ts';

/** containerd's limit; the kernel's MAXSYMLINKS is 40. */
const MAX_LINKS = 255;
/** Components walked for one name, those of symlinks' targets included: a layer must not make each of its names costly. */
const MAX_STEPS = 20_000;
export const MAX_DEPTH = 1024;
/** Open directories of the layer itself between two steps. Those of the layers below have a limit of their own. */
const MAX_OPEN = 64;
/** Of the directories above one that is opened, so many stay open whatever the limit is. */
const KEPT_ABOVE = 16;

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

export class MergedTree {
  readonly root: DirNode = new DirNode(undefined, '');
  readonly sys: Syscalls;
  /** Of a tree whose layers below are unknown: what it took for granted about them. */
  readonly guesses: Guesses | undefined;
  readonly #lowers: LowerLayers;
  readonly #unlocks: boolean;
  /** Nodes with an open directory in the layer, least recently used first. The root is not among them. */
  readonly #open = new Set<DirNode>();
  #latest: DirNode | undefined;

  /**
   * `lowers` unknown: names that are not in `upper` are taken to be directories or absent below, and noted as such. `unlocks`:
   * permissions hold for this process, so the tree gives this process access to each directory that it enters. `memory`: of layers
   * that do not change any more.
   */
  constructor(
    sys: Syscalls,
    upper: string,
    lowers: readonly string[] | 'unknown',
    { unlocks = false, memory }: { unlocks?: boolean; memory?: KnownLayers } = {},
  ) {
    this.sys = sys;
    this.#unlocks = unlocks;
    this.guesses = lowers === 'unknown' ? new Guesses() : undefined;
    this.#lowers = new LowerLayers(sys, lowers === 'unknown' ? [] : lowers, memory);
    const top = sys.openRoot(upper);
    this.root.upper = top;
    this.root.looked = true;
    try {
      this.#unlock(
        this.root,
        () => sys.fstat(top),
        (mode) => sys.chmodDir(top, mode),
      );
    } catch (err) {
      this.close();
      throw err;
    }
  }

  /** What `name` is in the merged view of a directory. */
  lookup(node: DirNode, name: ByteString): Found | undefined {
    const upper = this.upper(node);
    const stat = upper && this.sys.lstat(upper, name);
    if (upper !== undefined && stat !== undefined) return { stat, dir: upper, lower: false };
    return node.hides(name) ? undefined : this.lookupBelow(node, name);
  }

  /** What `name` is in the layers below, whatever this layer hides. */
  lookupBelow(node: DirNode, name: ByteString): Found | undefined {
    for (let i = 0; ; i++) {
      const dir = this.#lowers.at(node, i);
      if (dir === undefined) return undefined;
      const stat = this.sys.lstat(dir, name);
      if (stat !== undefined) return isWhiteout(stat) ? undefined : { stat, dir, lower: true };
    }
  }

  /** The same, without a handle. */
  kindBelow(node: DirNode, name: ByteString): Kind | undefined {
    return this.#lowers.kind(node, name);
  }

  /** The names in each layer below, some of them more than once, whiteouts among them. */
  namesBelow(node: DirNode): Iterable<ByteString> {
    return this.#lowers.names(node);
  }

  /** Whether a layer below has the directory, and it shows. */
  isBelow(node: DirNode): boolean {
    return this.#lowers.has(node, 0);
  }

  /** The handles of a directory in the layers below, nearest first, as far as they show. Each is valid until the next step. */
  *lowers(node: DirNode): Generator<Dir, void> {
    for (let i = 0; ; i++) {
      const dir = this.#lowers.at(node, i);
      if (dir === undefined) return;
      yield dir;
    }
  }

  /** The handle of a directory in the layer, if it is there. Valid until `trim`, `resolve`, `forget` or `drop`. */
  upper(node: DirNode): Dir | undefined {
    if (!node.looked) this.#openUpper(node);
    else if (node.upper !== undefined) this.#touch(node);
    return node.upper;
  }

  /** Opens a directory by way of those above that are not open; of a long way, only the last part stays open. */
  #openUpper(node: DirNode): void {
    if (node.parent?.looked === true) {
      this.#openBelow(node.parent, node);
      return;
    }
    const way: DirNode[] = [];
    for (let at: DirNode | undefined = node; at?.looked === false; at = at.parent) way.unshift(at);
    for (const [i, at] of way.entries()) {
      if (at.parent === undefined) throw new HawserError('Internal', 'the tree is closed');
      this.#openBelow(at.parent, at);
      const far = way[i - KEPT_ABOVE];
      if (far !== undefined && this.#open.size > MAX_OPEN) this.#closeUpper(far);
    }
  }

  #openBelow({ upper: above }: DirNode, node: DirNode): void {
    const stat = above && this.sys.lstat(above, node.name);
    if (above !== undefined && stat !== undefined && isDirectory(stat)) {
      this.#unlock(
        node,
        () => stat,
        (mode) => this.sys.chmod(above, node.name, mode),
      );
      node.upper = this.sys.openDir(above, node.name);
      this.#touch(node);
    }
    node.looked = true;
  }

  #unlock(node: DirNode, stat: () => Stat, chmod: (mode: number) => void): void {
    if (!this.#unlocks) return;
    const mode = stat().mode & 0o7777;
    if ((mode & 0o700) === 0o700) return;
    chmod(mode | 0o700);
    node.locked ??= mode;
  }

  #touch(node: DirNode): void {
    if (this.#latest === node || node.parent === undefined) return;
    this.#latest = node;
    this.#open.delete(node);
    this.#open.add(node);
  }

  #closeUpper(node: DirNode): void {
    const { upper } = node;
    node.looked = false;
    if (upper === undefined) return;
    node.upper = undefined;
    this.#open.delete(node);
    if (this.#latest === node) this.#latest = undefined;
    this.sys.closeDir(upper);
  }

  /**
   * Walks `parts` from the root, following symlinks inside the tree (absolute ones from its root, `..` not above it).
   * From the first component that is absent or no directory on, the rest is `missing`. No handle that was got before may be used after.
   */
  // biome-ignore lint/complexity/noExcessiveCognitiveComplexity: one loop, since each kind of component changes where the next is looked up
  resolve(parts: readonly ByteString[]): Place {
    const pending = [...parts].reverse();
    const missing: ByteString[] = [];
    let node = this.root;
    let links = 0;
    let steps = 0;
    for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
      this.trim();
      steps++;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (missing.pop() === undefined) node = node.parent ?? node;
        continue;
      }
      if (node.depth + missing.length >= MAX_DEPTH) throw tooDeep();
      const next = missing.length > 0 ? undefined : this.#step(node, part);
      if (next === undefined) missing.push(part);
      else if (typeof next !== 'string') node = next;
      else {
        links++;
        if (links > MAX_LINKS || steps > MAX_STEPS)
          throw new HawserError('InvalidArgument', 'too many symbolic links');
        if (next.startsWith('/')) node = this.root;
        pending.push(...next.split('/').reverse());
      }
    }
    return { node, missing };
  }

  /** The directory at `name`, or the target of the symlink there; `undefined` when there is neither. */
  #step(node: DirNode, name: ByteString): DirNode | ByteString | undefined {
    const known = node.children.get(name);
    if (known !== undefined) return known;
    const found = this.lookup(node, name);
    if (found !== undefined) {
      if (isDirectory(found.stat)) return this.adopt(node, name);
      return isSymlink(found.stat) ? this.sys.readlink(found.dir, name) : undefined;
    }
    if (!this.showsUnknown(node, name)) return undefined;
    this.guesses?.add(node, name);
    return this.adopt(node, name);
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

  /** Drops what is known of a directory's handles: something about it has changed. */
  forget(node: DirNode): void {
    if (node.parent === undefined) return;
    this.#lowers.forget(node);
    this.#closeUpper(node);
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
    this.#lowers.trim();
    if (this.#open.size <= MAX_OPEN) return;
    for (const node of this.#open) {
      if (this.#open.size <= MAX_OPEN / 2) return;
      this.#closeUpper(node);
    }
  }

  close(): void {
    this.#lowers.close();
    for (const node of this.#open) this.#closeUpper(node);
    this.#closeUpper(this.root);
  }
}

export function tooDeep(): HawserError {
  return new HawserError('InvalidArgument', `a path of more than ${MAX_DEPTH} components`);
}
