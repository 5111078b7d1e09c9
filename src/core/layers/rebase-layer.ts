import type { DirNode } from '../archive/dir-node.ts';
import { KnownLayers } from '../archive/known-layers.ts';
import { restore, wrongGuess } from '../archive/layer-record.ts';
import { MergedTree } from '../archive/merged-tree.ts';
import { Metadata } from '../archive/metadata.ts';
import { OverlayRebase, upperOf } from '../archive/overlay-rebase.ts';
import { Warnings } from '../archive/warnings.ts';
import { display } from '../bytes.ts';
import type { Call } from '../ports/call.ts';
import type { Syscalls } from '../ports/syscalls.ts';
import { dirInode } from '../trees/inode.ts';
import { copyTree, type Standing } from '../trees/tree-copy.ts';
import type { RebaseJob } from './workers.ts';

/**
 * Puts a layer that was applied blind over the layers below, which are final: into an overlayfs upper directory the
 * whiteouts and opaque marks, or (`flat`) all that shows of the one tree below. The merged view is then that of
 * applying the layer in order. Returns the reason when that cannot be done, before anything is changed: the layer must be
 * applied again, in order, to an empty directory. `memory`: of what other layers were rebased over.
 */
export function rebaseLayer(
  sys: Syscalls,
  job: RebaseJob,
  call: Call = {},
  memory: KnownLayers = new KnownLayers(),
): string | undefined {
  const { root, lowers, record } = job;
  const wrong = wrongGuess(sys, root, lowers, record.guesses, memory);
  if (wrong !== undefined) return `${JSON.stringify(display(wrong))} is a symbolic link in the layers below`;
  const tree = new MergedTree(sys, root, job.mode === 'overlay' ? lowers : [], { memory });
  try {
    restore(tree, record);
    const meta = new Metadata(new Warnings());
    if (job.mode === 'overlay') new OverlayRebase(tree, meta).run();
    else rebaseFlat(tree, meta, job, call);
    sys.flush();
    return undefined;
  } finally {
    tree.close();
  }
}

/** Directories that only this layer has get their attributes first: copying gives the others those of the directories below. */
function rebaseFlat(tree: MergedTree, meta: Metadata, { root, lowers }: RebaseJob, call: Call): void {
  setDefaults(tree, meta, tree.root);
  const [below] = lowers;
  if (below !== undefined) copyTree(tree.sys, below, root, { standing: standing(tree.root), ...call });
}

function setDefaults(tree: MergedTree, meta: Metadata, node: DirNode): void {
  for (const child of node.children.values()) setDefaults(tree, meta, child);
  tree.trim();
  if (node.made.by === 'implicit') meta.byDefault(dirInode(tree.sys, upperOf(tree, node)));
}

function standing(node: DirNode): Standing {
  return {
    hides: (name) => node.hides(name),
    inside: (name) => {
      const child = node.children.get(name);
      return child && standing(child);
    },
    keeps: node.made.by === 'explicit',
  };
}
