import type { ByteString } from '../bytes.ts';
import { HawserError, isKind } from '../errors.ts';
import { type Dir, S_IFCHR } from '../ports/syscalls.ts';
import { copyUp } from './copy-up.ts';
import type { DirNode } from './dir-node.ts';
import { type LayerTree, settleExplicit } from './layer-tree.ts';
import { isDirectory, type MergedTree } from './merged-tree.ts';
import { dirInode, type Metadata, namedInode } from './metadata.ts';

const YES: Uint8Array = Uint8Array.of(0x79);

/**
 * A layer in an overlayfs upper directory. While the archive is read, what it hides is only noted; at the end the
 * notes become whiteouts and opaque marks, but only where the lower view really shows something: overlayfs lists a whiteout that
 * hides nothing as a broken file.
 */
export class OverlayLayer implements LayerTree {
  readonly tree: MergedTree;
  readonly #meta: Metadata;
  /** Where a whiteout is, to hard-link the others to. */
  #whiteout: { node: DirNode; name: ByteString } | undefined;
  #opaqueKey = 'trusted.overlay.opaque';

  constructor(tree: MergedTree, meta: Metadata) {
    this.tree = tree;
    this.#meta = meta;
    tree.root.made = 'implicit';
  }

  writable(node: DirNode): Dir {
    if (node.made === 'no' && node.parent !== undefined) {
      this.tree.sys.mkdir(this.writable(node.parent), node.name, 0o700);
      node.made = 'implicit';
      this.tree.forget(node);
    }
    const { upper } = this.tree.open(node);
    if (upper === undefined) throw new HawserError('Internal', 'a directory of the layer is missing');
    return upper;
  }

  created(): void {}

  createdDirectory(node: DirNode): void {
    node.made = 'implicit';
  }

  removed(node: DirNode, name: ByteString): void {
    node.copied?.delete(name);
    node.cuts ??= new Set();
    node.cuts.add(name);
  }

  bringUp(node: DirNode, name: ByteString): Dir {
    const dir = this.writable(node);
    const found = this.tree.lookup(node, name);
    if (found?.lower !== true) return dir;
    copyUp(this.tree.sys, this.#meta, found, dir, name);
    node.copied ??= new Set();
    node.copied.add(name);
    return dir;
  }

  hide(node: DirNode, name: ByteString): void {
    node.cuts ??= new Set();
    node.cuts.add(name);
    if (node.copied?.delete(name) === true) this.tree.sys.unlink(this.writable(node), name);
    const child = node.children.get(name);
    if (child !== undefined) this.#strip(child);
  }

  hideAll(node: DirNode): void {
    node.opaque = true;
    this.#dropCopied(node);
    for (const child of node.children.values()) this.#strip(child);
  }

  /** Nothing shows through a directory any more: what is left of it is what the layer wrote. */
  #strip(node: DirNode): void {
    if (node.parent === undefined) return;
    this.tree.forget(node);
    if (node.made !== 'no') this.#dropCopied(node);
    for (const child of node.children.values()) this.#strip(child);
    if (node.made === 'implicit' && this.tree.sys.list(this.writable(node)).length === 0) {
      this.tree.forget(node);
      this.tree.sys.rmdir(this.writable(node.parent), node.name);
      node.made = 'no';
    }
    if (node.made === 'no') this.tree.drop(node.parent, node.name);
  }

  #dropCopied(node: DirNode): void {
    if (node.copied === undefined) return;
    for (const name of node.copied) this.tree.sys.unlink(this.writable(node), name);
    node.copied = undefined;
  }

  settle(): void {
    this.#settle(this.tree.root);
  }

  #settle(node: DirNode): void {
    this.tree.trim();
    for (const child of node.children.values()) this.#settle(child);
    if (node.opaque || node.cuts !== undefined) this.#settleHidden(node);
    if (node.made === 'explicit') settleExplicit(this, node);
    else if (node.made === 'implicit') this.#settleImplicit(node);
  }

  #settleHidden(node: DirNode): void {
    if (this.tree.open(node).lowers.length === 0) return;
    if (!node.opaque) for (const name of node.cuts ?? []) this.#settleName(node, name);
    else if (node.parent !== undefined) this.#markOpaque(this.writable(node.parent), node);
    // overlayfs does not heed an opaque mark on the root of a layer.
    else for (const name of this.#namesBelow(node)) this.#settleName(node, name);
  }

  #settleName(node: DirNode, name: ByteString): void {
    const below = this.tree.lookupBelow(node, name);
    if (below === undefined) return;
    const dir = this.writable(node);
    const own = this.tree.sys.lstat(dir, name);
    if (own === undefined) this.#makeWhiteout(node, name);
    else if (isDirectory(own) && isDirectory(below.stat)) this.#mark(dir, name);
  }

  #namesBelow(node: DirNode): Set<ByteString> {
    const names = new Set<ByteString>();
    for (const dir of this.tree.open(node).lowers)
      for (const name of this.tree.sys.list(dir)) names.add(name);
    return names;
  }

  #markOpaque(parent: Dir, node: DirNode): void {
    this.writable(node);
    this.#mark(parent, node.name);
  }

  /** In a user namespace trusted.* is out of reach; overlayfs mounted with `userxattr` reads user.* instead. */
  #mark(dir: Dir, name: ByteString): void {
    try {
      this.tree.sys.setxattr(dir, name, this.#opaqueKey, YES);
    } catch (err) {
      if (!isKind(err, 'PermissionDenied') || this.#opaqueKey.startsWith('user.')) throw err;
      this.#opaqueKey = 'user.overlay.opaque';
      this.tree.sys.setxattr(dir, name, this.#opaqueKey, YES);
    }
  }

  #makeWhiteout(node: DirNode, name: ByteString): void {
    const { sys } = this.tree;
    const dir = this.writable(node);
    const from = this.#whiteout && this.tree.open(this.#whiteout.node).upper;
    if (this.#whiteout !== undefined && from !== undefined) {
      try {
        sys.link(from, this.#whiteout.name, dir, name);
        return;
      } catch {
        // Too many links (EMLINK), or a file system that has none: another device then.
      }
    }
    sys.mknod(dir, name, S_IFCHR, 0, 0);
    this.#whiteout = { node, name };
  }

  /** A directory that the layer does not list looks as it did below. */
  #settleImplicit(node: DirNode): void {
    const { sys } = this.tree;
    const { upper, lowers } = this.tree.open(node);
    if (upper === undefined) throw new HawserError('Internal', 'a directory of the layer is missing');
    const inode =
      node.parent === undefined
        ? dirInode(sys, upper)
        : namedInode(sys, this.writable(node.parent), node.name);
    const lower = lowers[0];
    if (lower === undefined) this.#meta.byDefault(inode);
    else this.#meta.copy(dirInode(sys, lower), sys.fstat(lower), inode, false);
  }
}
