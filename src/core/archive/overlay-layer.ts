import type { ByteString } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import type { Dir } from '../ports/syscalls.ts';
import { copyUp } from './copy-up.ts';
import { type DirNode, IMPLICIT, NOT_MADE } from './dir-node.ts';
import type { LayerRecord } from './layer-record.ts';
import { recordOf } from './layer-record.ts';
import { type LayerTree, settleExplicitBelow } from './layer-tree.ts';
import type { MergedTree } from './merged-tree.ts';
import type { Metadata } from './metadata.ts';
import { OverlayRebase, upperOf } from './overlay-rebase.ts';

/**
 * A layer in an overlayfs upper directory. While the archive is read, whiteouts are only noted. OverlayRebase makes overlayfs's
 * whiteouts and opaque marks of the notes: after the last entry when the layers below are known, else when they are.
 */
export class OverlayLayer implements LayerTree {
  readonly tree: MergedTree;
  readonly #meta: Metadata;

  constructor(tree: MergedTree, meta: Metadata) {
    this.tree = tree;
    this.#meta = meta;
    tree.root.made = IMPLICIT;
  }

  writable(node: DirNode): Dir {
    return upperOf(this.tree, node);
  }

  created(): void {}

  createdDirectory(node: DirNode): void {
    node.made = IMPLICIT;
  }

  removed(node: DirNode, name: ByteString): void {
    copiedIn(node)?.delete(name);
    node.cut(name);
  }

  bringUp(node: DirNode, name: ByteString): Dir {
    const dir = this.writable(node);
    const found = this.tree.lookup(node, name);
    if (found?.lower !== true) return dir;
    copyUp(this.tree.sys, this.#meta, found, dir, name);
    if (node.notes?.kind !== 'overlay') node.notes = { kind: 'overlay', copied: new Set() };
    node.notes.copied.add(name);
    return dir;
  }

  hide(node: DirNode, name: ByteString): void {
    if (node.hides(name)) return;
    node.cut(name);
    if (copiedIn(node)?.delete(name) === true) this.tree.sys.unlink(this.writable(node), name);
    const child = node.children.get(name);
    if (child !== undefined) this.#strip(child);
  }

  hideAll(node: DirNode): void {
    if (node.opaque) return;
    node.opaque = true;
    this.#dropCopied(node);
    for (const child of node.children.values()) this.#strip(child);
  }

  /** Nothing from below shows in the directory any more: only what the layer wrote stays. */
  #strip(node: DirNode): void {
    if (node.parent === undefined) return;
    this.tree.trim();
    this.tree.forget(node);
    if (node.made.by !== 'no') this.#dropCopied(node);
    for (const child of node.children.values()) this.#strip(child);
    if (node.made.by === 'implicit' && this.tree.sys.list(this.writable(node)).length === 0) {
      this.tree.forget(node);
      this.tree.sys.rmdir(this.writable(node.parent), node.name);
      node.made = NOT_MADE;
    }
    if (node.made.by === 'no') this.tree.drop(node.parent, node.name);
  }

  #dropCopied(node: DirNode): void {
    for (const name of copiedIn(node) ?? []) this.tree.sys.unlink(this.writable(node), name);
    node.notes = undefined;
  }

  settle(): void {
    new OverlayRebase(this.tree, this.#meta).run();
  }

  /** Instead of `settle` when the layers below are unknown: returns what is left to do once they are known. */
  settleBlind(): LayerRecord {
    const { root, guesses } = this.tree;
    if (guesses === undefined) throw new HawserError('Internal', 'the layers below are known');
    settleExplicitBelow(this.tree, root);
    return recordOf(root, guesses.paths);
  }
}

function copiedIn({ notes }: DirNode): Set<ByteString> | undefined {
  return notes?.kind === 'overlay' ? notes.copied : undefined;
}
