import { namedInode } from '../trees/inode.ts';
import type { OwnerMode } from '../users/owner-policy.ts';
import type { DirNode, Slot } from './dir-node.ts';
import type { TarEntry } from './entry.ts';
import type { WaitingFile } from './file-run.ts';
import type { LayerTree } from './layer-tree.ts';
import { atimeOf, type Metadata } from './metadata.ts';
import type { NewInodes } from './new-inodes.ts';

/** Gives new inodes, but directories, what their entries say. */
export class EntryInodes {
  readonly #layer: LayerTree;
  readonly #meta: Metadata;
  readonly #born: NewInodes;
  readonly #owner: OwnerMode;

  constructor(layer: LayerTree, meta: Metadata, born: NewInodes, owner: OwnerMode = 'keep') {
    this.#layer = layer;
    this.#meta = meta;
    this.#born = born;
    this.#owner = owner;
  }

  describe(entry: TarEntry, { node, name }: Slot): void {
    const inode = namedInode(this.#layer.tree.sys, this.#layer.writable(node), name);
    const mode = entry.type === 'file' && this.#isBornRight(entry, node);
    this.#meta.apply(inode, entry, { has: { owner: node.plain && this.#born.hasOwner(entry), mode } });
    inode.utimes(atimeOf(entry), entry.mtime);
  }

  /** The mode to create a file with. */
  permOf(entry: TarEntry, node: DirNode): number {
    return this.#isBornRight(entry, node) ? entry.mode : 0o600;
  }

  /** Whether a WaitingFile says all that the entry says. */
  canWait(entry: TarEntry): boolean {
    return entry.xattrs.size === 0 && this.#owner !== 'record';
  }

  /** What `permOf` and `describe` come to. */
  waiting(entry: TarEntry, { node, name }: Slot, content: Uint8Array): WaitingFile {
    const right = this.#isBornRight(entry, node);
    const owned = this.#owner !== 'keep' || (node.plain && this.#born.hasOwner(entry));
    return {
      entry,
      name,
      content,
      perm: right ? entry.mode : 0o600,
      owner: owned ? undefined : entry,
      mode: right ? undefined : entry.mode,
      atime: atimeOf(entry),
      mtime: entry.mtime,
    };
  }

  /** Whether the file is created with its final mode: nothing remains to be set that takes the owner's write bit. */
  #isBornRight(entry: TarEntry, node: DirNode): boolean {
    return node.plain && this.canWait(entry) && this.#born.hasMode(entry.mode);
  }
}
