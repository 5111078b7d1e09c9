/** Writing a layer into the merged tree: what overlay and flat application have in common. */
import type { ByteString } from '../bytes.ts';
import { HawserError, isKind } from '../errors.ts';
import { type Dir, isDirectory } from '../ports/syscalls.ts';
import { namedInode } from '../trees/inode.ts';
import { removeEntry } from '../trees/remove-tree.ts';
import { type DirNode, IMPLICIT } from './dir-node.ts';
import type { MergedTree, Place } from './merged-tree.ts';

/**
 * How a layer goes over the layers below. Whiteouts and opaque marks hide only what comes from below, wherever in the archive
 * they stand: what the layer itself writes, before or after, stays.
 */
export interface LayerTree {
  readonly tree: MergedTree;
  /**
   * The directory in which the layer may now create things in `node`. When the layer has to make it first, no handle that was
   * got before may be used after.
   */
  writable(node: DirNode): Dir;
  /** A new file, link or device; `name` must be free. */
  created(node: DirNode, name: ByteString): void;
  /** A directory that was not in the directory that takes the layer. */
  createdDirectory(node: DirNode): void;
  /** Something was removed from the directory that takes the layer. */
  removed(node: DirNode, name: ByteString): void;
  /** Brings a non-directory up from below, so that it can be linked to. */
  bringUp(node: DirNode, name: ByteString): Dir;
  /** A whiteout: hides what is below at `name`. As after an opaque mark, no handle that was got before may be used after. */
  hide(node: DirNode, name: ByteString): void;
  /** An opaque mark. */
  hideAll(node: DirNode): void;
  /** Whiteouts, opaque marks, directories' attributes: after all entries. */
  settle(): void;
}

/** Removes whatever is at `name`; false when nothing was. */
export function erase(tree: MergedTree, node: DirNode, dir: Dir, name: ByteString): boolean {
  const stat = tree.sys.lstat(dir, name);
  if (stat === undefined) return false;
  if (isDirectory(stat)) {
    tree.drop(node, name);
    removeEntry(tree.sys, dir, name);
  } else tree.sys.unlink(dir, name);
  return true;
}

/** Removes what is at `name`: something new comes there. */
export function clear(layer: LayerTree, node: DirNode, name: ByteString): void {
  if (erase(layer.tree, node, layer.writable(node), name)) layer.removed(node, name);
}

/** Runs `make`, which must not replace anything. When the name is taken: clears the name and runs `make` again. */
export function create<T>(
  layer: LayerTree,
  node: DirNode,
  name: ByteString,
  make: (dir: Dir, name: ByteString) => T,
): T {
  let result: T;
  try {
    result = make(layer.writable(node), name);
  } catch (err) {
    if (!isKind(err, 'AlreadyExists')) throw err;
    clear(layer, node, name);
    result = make(layer.writable(node), name);
  }
  // There may have been a directory of that name below.
  layer.tree.drop(node, name);
  layer.created(node, name);
  return result;
}

/** Makes a directory at `name`. One that is there stays; anything else is replaced. */
export function makeDirectory(
  layer: LayerTree,
  node: DirNode,
  name: ByteString,
): { child: DirNode; fresh: boolean } {
  const { tree } = layer;
  const dir = layer.writable(node);
  let fresh = true;
  try {
    tree.sys.mkdir(dir, name, 0o700);
  } catch (err) {
    if (!isKind(err, 'AlreadyExists')) throw err;
    const stat = tree.sys.lstat(dir, name);
    fresh = stat === undefined || !isDirectory(stat);
    if (fresh) {
      clear(layer, node, name);
      tree.sys.mkdir(dir, name, 0o700);
    }
  }
  const child = tree.adopt(node, name);
  if (fresh) {
    tree.forget(child);
    child.plain = node.plain;
    layer.createdDirectory(child);
  }
  return { child, fresh };
}

/** Makes the missing directories of a place: `implicit` ones. No handle that was got before may be used after. */
export function makePlace(layer: LayerTree, place: Place): DirNode {
  let { node } = place;
  for (const name of place.missing) {
    layer.tree.trim();
    node = makeDirectory(layer, node, name).child;
    if (node.made.by === 'no') node.made = IMPLICIT;
  }
  return node;
}

/** Attributes of an explicit directory: they do not depend on what is below. Others are left as they are. */
export function settleExplicit(tree: MergedTree, node: DirNode): void {
  const { made: final, parent } = node;
  if (final.by !== 'explicit') return;
  const upper = tree.upper(parent ?? node);
  if (upper === undefined) throw new HawserError('Internal', 'a directory without its parent');
  if (parent === undefined) {
    tree.sys.chmodDir(upper, final.mode);
    tree.sys.utimesDir(upper, final.atime, final.mtime);
    return;
  }
  const inode = namedInode(tree.sys, upper, node.name);
  if (!ownerMayAll(final.mode)) inode.chmod(final.mode);
  inode.utimes(final.atime, final.mtime);
}

/** The same for all in and below `node`, deepest first. */
export function settleExplicitBelow(tree: MergedTree, node: DirNode): void {
  for (const child of node.children.values()) settleExplicitBelow(tree, child);
  tree.trim();
  settleExplicit(tree, node);
}

/** Whether the mode lets the owner list, enter and write: without root that is needed until the directory is filled. */
export function ownerMayAll(mode: number): boolean {
  return (mode & 0o700) === 0o700;
}
