import type { ByteString } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import type { Dir } from '../ports/syscalls.ts';
import { dirInode } from '../trees/inode.ts';
import type { DirNode } from './dir-node.ts';
import { erase, type LayerTree, settleExplicit } from './layer-tree.ts';
import type { MergedTree } from './merged-tree.ts';
import type { Metadata } from './metadata.ts';

const NOTHING: ReadonlyMap<ByteString, Uint8Array> = new Map();

/**
 * A layer over a full copy of what is below, in place: what it hides is removed at once, and what it writes is noted, so
 * that hiding spares it.
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
    for (let at: DirNode | undefined = node; at !== undefined && at.made === 'no'; at = at.parent) {
      at.made = 'implicit';
    }
    return dir;
  }

  /** The directory, its times kept in mind. */
  #touch(node: DirNode): Dir {
    const upper = this.tree.upper(node);
    if (upper === undefined) throw new HawserError('Internal', 'a directory of the tree is missing');
    if (node.before === undefined && !node.fresh) node.before = this.tree.sys.fstat(upper);
    return upper;
  }

  created(node: DirNode, name: ByteString): void {
    node.written ??= new Set();
    node.written.add(name);
  }

  createdDirectory(node: DirNode): void {
    node.made = 'implicit';
    node.fresh = true;
  }

  removed(node: DirNode, name: ByteString): void {
    node.written?.delete(name);
  }

  bringUp(node: DirNode): Dir {
    const upper = this.tree.upper(node);
    if (upper === undefined) throw new HawserError('Internal', 'a directory of the tree is missing');
    return upper;
  }

  hide(node: DirNode, name: ByteString): void {
    if (node.hides(name)) return;
    node.cuts ??= new Set();
    node.cuts.add(name);
    if (node.written?.has(name) === true) return;
    const child = node.children.get(name);
    if (child !== undefined && child.made !== 'no') this.#strip(child);
    else if (this.tree.lookup(node, name) !== undefined) erase(this.tree, node, this.#touch(node), name);
  }

  hideAll(node: DirNode): void {
    if (node.opaque) return;
    for (const name of this.tree.sys.list(this.#touch(node))) this.hide(node, name);
    node.opaque = true;
  }

  #strip(node: DirNode): void {
    this.hideAll(node);
    node.fresh = true;
  }

  settle(): void {
    this.#settle(this.tree.root);
  }

  #settle(node: DirNode): void {
    this.tree.trim();
    for (const child of node.children.values()) this.#settle(child);
    if (node.made === 'explicit') settleExplicit(this.tree, node);
    else if (node.fresh || node.before !== undefined) this.#settleImplicit(node);
    if (node.made !== 'explicit' && !node.fresh && node.locked !== undefined) this.#lock(node, node.locked);
  }

  #lock(node: DirNode, mode: number): void {
    const upper = this.tree.upper(node.parent ?? node);
    if (upper === undefined) throw new HawserError('Internal', 'a directory of the tree is missing');
    if (node.parent === undefined) this.tree.sys.chmodDir(upper, mode);
    else this.tree.sys.chmod(upper, node.name, mode);
  }

  #settleImplicit(node: DirNode): void {
    const upper = this.tree.upper(node);
    if (upper === undefined) throw new HawserError('Internal', 'a directory of the tree is missing');
    const inode = dirInode(this.tree.sys, upper);
    if (!node.fresh && node.before !== undefined) inode.utimes(node.before.atime, node.before.mtime);
    else {
      this.#meta.clearXattrs(inode, NOTHING);
      this.#meta.byDefault(inode);
    }
  }
}
