/** Making and using the record of a layer that was applied blind. */
import type { ByteString } from '../bytes.ts';
import type { Syscalls } from '../ports/syscalls.ts';
import type { DirNode, Made } from './dir-node.ts';
import { needsBelow } from './guesses.ts';
import type { KnownLayers } from './known-layers.ts';
import { MergedTree } from './merged-tree.ts';

/** A directory of a layer that was applied blind. */
export interface NodeRecord {
  readonly name: ByteString;
  /** The parent's index in the list. The root is first, and its own parent. */
  readonly parent: number;
  readonly made: Made;
  /** Everything lower in it is hidden. */
  readonly opaque: boolean;
  /** Names whose lower things are hidden. */
  readonly cuts: readonly ByteString[];
}

/**
 * What is left to do for a layer that was applied without sight of the layers below. Plain data: another thread uses the
 * record, when those layers are there.
 */
export interface LayerRecord {
  /** The directories that depend on what is below, and those above them, parents first. */
  readonly nodes: readonly NodeRecord[];
  /** Paths that the layer took to be no symlinks below. */
  readonly guesses: readonly ByteString[];
}

/** A layer with more such directories is applied again in order. */
const MAX_NODES = 500_000;

export function recordOf(root: DirNode, guesses: Iterable<ByteString>): LayerRecord {
  const nodes: NodeRecord[] = [];
  add(nodes, root, 0);
  return { nodes, guesses: [...guesses] };
}

/** Adds `node` when it is the root, or when it or a directory in it depends on the layers below. */
function add(nodes: NodeRecord[], node: DirNode, parent: number): void {
  const { name, made, opaque, cuts } = node;
  const at = nodes.length;
  if (at >= MAX_NODES) throw needsBelow('it has too many directories that depend on them');
  nodes.push({ name, parent, made, opaque, cuts: [...(cuts ?? [])] });
  for (const child of node.children.values()) add(nodes, child, at);
  const depends = made.by === 'implicit' || opaque || cuts !== undefined;
  if (!depends && node.parent !== undefined && nodes.length === at + 1) nodes.pop();
}

/** Restores the nodes of a record in a newly opened tree. */
export function restore(tree: MergedTree, record: LayerRecord): void {
  const nodes: DirNode[] = [];
  for (const one of record.nodes) {
    const parent = nodes[one.parent];
    const node = parent === undefined ? tree.root : tree.adopt(parent, one.name);
    node.made = one.made;
    node.opaque = one.opaque;
    if (one.cuts.length > 0) node.cuts = new Set(one.cuts);
    nodes.push(node);
  }
}

/** The first guess that the layers below (directories, nearest first) prove wrong. */
export function wrongGuess(
  sys: Syscalls,
  root: string,
  lowers: readonly string[],
  guesses: readonly ByteString[],
  memory: KnownLayers,
): ByteString | undefined {
  if (guesses.length === 0) return undefined;
  const tree = new MergedTree(sys, root, lowers, { memory });
  try {
    return guesses.find((path) => {
      tree.trim();
      return isSymlinkBelow(tree, path.split('/'));
    });
  } finally {
    tree.close();
  }
}

function isSymlinkBelow(tree: MergedTree, way: readonly ByteString[]): boolean {
  let node = tree.root;
  for (const [i, name] of way.entries()) {
    const known = node.children.get(name);
    if (known !== undefined) {
      node = known;
      continue;
    }
    const below = tree.kindBelow(node, name);
    if (below === undefined) return false;
    if (below !== 'directory') return i === way.length - 1 && below === 'symlink';
    node = tree.adopt(node, name);
  }
  return false;
}
