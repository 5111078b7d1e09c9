import type { ByteString } from '../bytes.ts';
import { HawserError, isKind } from '../errors.ts';
import { type Dir, isDirectory, S_IFCHR } from '../ports/syscalls.ts';
import { dirInode, namedInode } from '../trees/inode.ts';
import { type DirNode, IMPLICIT } from './dir-node.ts';
import { settleExplicit } from './layer-tree.ts';
import type { MergedTree } from './merged-tree.ts';
import type { Metadata } from './metadata.ts';

const YES: Uint8Array = Uint8Array.of(0x79);

/**
 * The directory in an overlayfs upper, made when the layer has it only from below: then no handle that was got before
 * may be used after.
 */
export function upperOf(tree: MergedTree, node: DirNode): Dir {
  if (node.made.by === 'no' && node.parent !== undefined) {
    tree.sys.mkdir(upperOf(tree, node.parent), node.name, 0o700);
    node.made = IMPLICIT;
    node.plain = node.parent.plain;
    tree.forget(node);
    tree.trim();
  }
  const upper = tree.upper(node);
  if (upper === undefined) throw new HawserError('Internal', 'a directory of the layer is missing');
  return upper;
}

/**
 * Puts a layer over the layers below. What the layer hides becomes whiteouts and opaque marks, but only where something shows
 * from below (overlayfs lists a whiteout that hides nothing as a broken file). Directories that the layer does not list get
 * the attributes that they have below.
 */
export class OverlayRebase {
  readonly #tree: MergedTree;
  readonly #meta: Metadata;
  /** The first whiteout: the others are hard links to it. */
  #whiteout: { node: DirNode; name: ByteString } | undefined;
  #opaqueKey = 'trusted.overlay.opaque';

  constructor(tree: MergedTree, meta: Metadata) {
    this.#tree = tree;
    this.#meta = meta;
  }

  run(): void {
    this.#settle(this.#tree.root);
  }

  #settle(node: DirNode): void {
    for (const child of node.children.values()) this.#settle(child);
    this.#tree.trim();
    if (node.opaque || node.cuts !== undefined) this.#settleHidden(node);
    if (node.made.by === 'implicit') this.#settleImplicit(node);
    else settleExplicit(this.#tree, node);
  }

  #settleHidden(node: DirNode): void {
    if (!this.#tree.isBelow(node)) return;
    if (!node.opaque) for (const name of node.cuts ?? []) this.#settleName(node, name);
    else if (node.parent !== undefined) this.#markOpaque(node, node.parent);
    // overlayfs ignores an opaque mark on the root of a layer.
    else for (const name of new Set(this.#tree.namesBelow(node))) this.#settleName(node, name);
  }

  #settleName(node: DirNode, name: ByteString): void {
    const below = this.#tree.kindBelow(node, name);
    if (below === undefined) return;
    const dir = upperOf(this.#tree, node);
    const own = this.#tree.sys.lstat(dir, name);
    if (own === undefined) this.#makeWhiteout(node, name);
    else if (isDirectory(own) && below === 'directory') this.#mark(dir, name);
  }

  #markOpaque(node: DirNode, parent: DirNode): void {
    upperOf(this.#tree, node);
    this.#mark(upperOf(this.#tree, parent), node.name);
  }

  /** In a user namespace trusted.* is out of reach; overlayfs mounted with `userxattr` reads user.* instead. */
  #mark(dir: Dir, name: ByteString): void {
    try {
      this.#tree.sys.setxattr(dir, name, this.#opaqueKey, YES);
    } catch (err) {
      if (!isKind(err, 'PermissionDenied') || this.#opaqueKey.startsWith('user.')) throw err;
      this.#opaqueKey = 'user.overlay.opaque';
      this.#tree.sys.setxattr(dir, name, this.#opaqueKey, YES);
    }
  }

  #makeWhiteout(node: DirNode, name: ByteString): void {
    const { sys } = this.#tree;
    const dir = upperOf(this.#tree, node);
    const from = this.#whiteout && this.#tree.upper(this.#whiteout.node);
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
    const { sys } = this.#tree;
    const upper = this.#tree.upper(node);
    if (upper === undefined) throw new HawserError('Internal', 'a directory of the layer is missing');
    const inode =
      node.parent === undefined
        ? dirInode(sys, upper)
        : namedInode(sys, upperOf(this.#tree, node.parent), node.name);
    const [lower] = this.#tree.lowers(node);
    if (lower === undefined) this.#meta.byDefault(inode);
    else this.#meta.copy(dirInode(sys, lower), sys.fstat(lower), inode);
  }
}
