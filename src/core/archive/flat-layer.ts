import type { ByteString } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import type { Dir } from '../ports/syscalls.ts';
import { dirInode } from '../trees/inode.ts';
import { type DirNode, type FlatNotes, IMPLICIT } from './dir-node.ts';
import { erase, type LayerTree, settleExplicit } from './layer-tree.ts';
import type { MergedTree } from './merged-tree.ts';
import type { Metadata } from './metadata.ts';

const NOTHING: ReadonlyMap<ByteString, Uint8Array> = new Map();

/**
 * A layer over a full copy of the layers below, in place: what the layer hides is removed at once, and what the layer writes
 * is noted, so that a whiteout spares it.
 */
export class FlatLayer implements LayerTree {
  readonly tree: MergedTree;
  readonly #meta: Metadata;

  constructor(tree: MergedTree, meta: Metadata) {
    this.tree = tree;
    this.#meta = meta;
  }

  writable(node: DirNode): Dir {
    const dir = this.#touch(node);
    for (let at: DirNode | undefined = node; at !== undefined && at.made.by === 'no'; at = at.parent) {
      at.made = IMPLICIT;
    }
    return dir;
  }

  #dir(node: DirNode): Dir {
    const dir = this.tree.upper(node);
    if (dir === undefined) throw new HawserError('Internal', 'a directory of the tree is missing');
    return dir;
  }

  /** The directory, to be changed: its times are noted first. */
  #touch(node: DirNode): Dir {
    const dir = this.#dir(node);
    const notes = notesOf(node);
    if (notes.before === undefined && !notes.fresh) notes.before = this.tree.sys.fstat(dir);
    return dir;
  }

  created(node: DirNode, name: ByteString): void {
    const notes = notesOf(node);
    notes.written ??= new Set();
    notes.written.add(name);
  }

  createdDirectory(node: DirNode): void {
    node.made = IMPLICIT;
    notesOf(node).fresh = true;
  }

  removed(node: DirNode, name: ByteString): void {
    notesOf(node).written?.delete(name);
  }

  bringUp(node: DirNode): Dir {
    return this.#dir(node);
  }

  hide(node: DirNode, name: ByteString): void {
    if (node.hides(name)) return;
    node.cut(name);
    if (notesOf(node).written?.has(name) === true) return;
    const child = node.children.get(name);
    if (child !== undefined && child.made.by !== 'no') this.#strip(child);
    else if (this.tree.lookup(node, name) !== undefined) erase(this.tree, node, this.#touch(node), name);
  }

  hideAll(node: DirNode): void {
    if (node.opaque) return;
    for (const name of this.tree.sys.list(this.#touch(node))) this.hide(node, name);
    node.opaque = true;
  }

  #strip(node: DirNode): void {
    this.tree.trim();
    this.hideAll(node);
    notesOf(node).fresh = true;
  }

  settle(): void {
    this.#settle(this.tree.root);
  }

  #settle(node: DirNode): void {
    for (const child of node.children.values()) this.#settle(child);
    this.tree.trim();
    if (node.made.by === 'explicit') {
      settleExplicit(this.tree, node);
      return;
    }
    const { fresh, before } = notesOf(node);
    if (fresh) this.#describeFresh(node);
    else {
      if (before !== undefined) dirInode(this.tree.sys, this.#dir(node)).utimes(before.atime, before.mtime);
      if (node.locked !== undefined) this.#lock(node, node.locked);
    }
  }

  #lock(node: DirNode, mode: number): void {
    const above = this.#dir(node.parent ?? node);
    if (node.parent === undefined) this.tree.sys.chmodDir(above, mode);
    else this.tree.sys.chmod(above, node.name, mode);
  }

  /** A directory that no layer describes. */
  #describeFresh(node: DirNode): void {
    const inode = dirInode(this.tree.sys, this.#dir(node));
    this.#meta.clearXattrs(inode, NOTHING);
    this.#meta.byDefault(inode);
  }
}

function notesOf(node: DirNode): FlatNotes {
  if (node.notes?.kind !== 'flat')
    node.notes = { kind: 'flat', written: undefined, fresh: false, before: undefined };
  return node.notes;
}
