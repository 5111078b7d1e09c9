/** A tree of layers over one another (overlayfs), read as it shows: without a mount, directory by directory. */
import { type ByteString, display } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import { type Dir, isDirectory, type Stat, type Syscalls } from '../ports/syscalls.ts';
import { dirInode, type Inode, isHostKey, isOverlayKey, namedInode } from '../trees/inode.ts';
import { isWhiteout } from './known-layers.ts';
import { type ChainPlace, type LowerChain, LowerLayers } from './lower-chain.ts';

/** A directory that shows. */
export class StackedDir implements ChainPlace {
  readonly parent: StackedDir | undefined;
  readonly name: ByteString;
  lowers: LowerChain | undefined;

  constructor(parent: StackedDir | undefined, name: ByteString) {
    this.parent = parent;
    this.name = name;
  }

  hides(): boolean {
    return false;
  }
}

/** Something in a directory, as it shows. */
export interface StackedEntry {
  readonly stat: Stat;
  /** Which of the layers' directories of that place has the thing. */
  readonly index: number;
}

/** Attributes by which overlayfs finds content elsewhere: such a file cannot be read here. */
const ELSEWHERE = /^(?:trusted|user)\.overlay\.(?:redirect|metacopy)$/;

export class StackedTree {
  readonly #sys: Syscalls;
  readonly #layers: LowerLayers;
  readonly root: StackedDir = new StackedDir(undefined, '');
  /** Without layers: an empty tree. */
  readonly isEmpty: boolean;

  /** `roots`: absolute paths, the nearest layer first. */
  constructor(sys: Syscalls, roots: readonly string[]) {
    this.#sys = sys;
    this.#layers = new LowerLayers(sys, roots, undefined);
    this.isEmpty = roots.length === 0;
  }

  close(): void {
    this.#layers.close();
  }

  /** Drops the handles of a directory that was gone through. */
  leave(dir: StackedDir): void {
    this.#layers.forget(dir);
  }

  /** Everything that shows in a directory, by name. */
  list(dir: StackedDir): Map<ByteString, StackedEntry> {
    const found = new Map<ByteString, StackedEntry>();
    const seen = new Set<ByteString>();
    for (let index = 0; ; index++) {
      const layer = this.#layers.at(dir, index);
      if (layer === undefined) return found;
      for (const name of this.#sys.list(layer)) {
        if (seen.has(name)) continue;
        seen.add(name);
        const stat = this.#sys.lstat(layer, name);
        if (stat !== undefined && !isWhiteout(stat)) found.set(name, { stat, index });
      }
    }
  }

  /** What the directories of a place are, nearest first: two places with the same ones show the same. */
  identity(dir: StackedDir): string {
    const ids: string[] = [];
    for (let index = 0; ; index++) {
      const layer = this.#layers.at(dir, index);
      if (layer === undefined) return ids.join();
      const { dev, ino } = this.#sys.fstat(layer);
      ids.push(`${dev}:${ino}`);
    }
  }

  /** The handle of the layer's directory that has an entry. Good until the next call of this object. */
  at(dir: StackedDir, { index }: StackedEntry): Dir {
    const layer = this.#layers.at(dir, index);
    if (layer === undefined) throw new HawserError('Aborted', `${display(dir.name)} has changed meanwhile`);
    return layer;
  }

  rootStat(): Stat {
    return this.#sys.fstat(this.at(this.root, { index: 0 } as StackedEntry));
  }

  /** The attributes that an image's file can have. FailedPrecondition for a file whose content is elsewhere. */
  attributes(dir: StackedDir, name: ByteString, entry: StackedEntry): Map<ByteString, Uint8Array> {
    return attributesOf(namedInode(this.#sys, this.at(dir, entry), name), name, isDirectory(entry.stat));
  }

  rootAttributes(): Map<ByteString, Uint8Array> {
    const inode = dirInode(this.#sys, this.at(this.root, { index: 0 } as StackedEntry));
    return attributesOf(inode, '/', true);
  }
}

function attributesOf(inode: Inode, name: ByteString, isDir: boolean): Map<ByteString, Uint8Array> {
  const found = new Map<ByteString, Uint8Array>();
  for (const key of inode.listxattr()) {
    if (ELSEWHERE.test(key)) {
      const what = isDir ? 'was renamed by overlayfs' : 'has its content in another layer';
      throw new HawserError('FailedPrecondition', `Cannot read ${display(name)}: it ${what} (${key})`, {
        hint: 'Make the snapshot again on a machine whose overlayfs has redirect_dir and metacopy off',
      });
    }
    if (isOverlayKey(key) || isHostKey(key)) continue;
    const value = inode.getxattr(key);
    if (value !== undefined) found.set(key, value);
  }
  return found;
}
