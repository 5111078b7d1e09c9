/**
 * What a failed sync loses. The kernel reports a failed write once, keeps the bytes readable for a while, and then drops them:
 * so they are dropped here by `drop`, after later commands have had their chance to write them again.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { type Range, without, zero } from './lost-ranges.ts';

interface FileState {
  dirty: Range[];
  lost: Range[];
}

export interface TrackedFile {
  wrote(at: number, length: number): void;
  synced(): void;
  lose(): void;
}

export class LostData {
  /** By inode: a file that is made anew is another. */
  readonly #files = new Map<string, FileState>();
  /** Trees that were written since the last sync of their file system. */
  readonly #dirtyTrees = new Set<string>();
  /** Inodes of files in trees whose sync failed, with their paths. */
  readonly #lostInodes = new Map<string, string>();

  file(path: string): TrackedFile {
    const state = (): FileState => {
      const inode = inodeOf(path);
      const known = this.#files.get(inode) ?? { dirty: [], lost: [] };
      this.#files.set(inode, known);
      return known;
    };
    const opened = state();
    return {
      wrote: (at, length) => {
        opened.dirty.push([at, at + length]);
        opened.lost = opened.lost.flatMap((range) => without(range, [at, at + length]));
      },
      synced: () => {
        opened.dirty = [];
      },
      lose: () => {
        opened.lost.push(...opened.dirty);
        opened.dirty = [];
      },
    };
  }

  tree(path: string): void {
    this.#dirtyTrees.add(path);
  }

  treesSynced(): void {
    this.#dirtyTrees.clear();
  }

  loseTrees(): void {
    for (const tree of this.#dirtyTrees) {
      for (const path of filesBelow(tree)) this.#lostInodes.set(inodeOf(path), path);
    }
    this.#dirtyTrees.clear();
  }

  /** Drops the lost bytes of all files below `root` that are still there. */
  drop(root: string): void {
    for (const path of filesBelow(root)) {
      const inode = inodeOf(path);
      for (const range of this.#files.get(inode)?.lost ?? []) zero(path, range);
      if (this.#lostInodes.has(inode)) fs.truncateSync(path, 0);
    }
    this.#files.clear();
    this.#dirtyTrees.clear();
    this.#lostInodes.clear();
  }
}

function inodeOf(path: string): string {
  const stat = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? path : `${stat.dev}:${stat.ino}`;
}

function filesBelow(dir: string): string[] {
  if (!fs.existsSync(dir)) return [];
  return fs
    .readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
