/**
 * The topmost layers of an image, each applied by itself, and what can be said of the image by them alone: what a layer writes or hides
 * is final unless a layer above says more. A layer that goes through directories that it does not list took them for no symlinks
 * (core/archive/guesses.ts): until the layers below settle that, nothing can be said.
 */
import type { LayerRecord } from '../archive/layer-record.ts';
import type { ByteString } from '../bytes.ts';
import { isDirectory, isSymlink } from '../ports/syscalls.ts';
import type { ModelNode } from '../trees/model-node.ts';
import type { Looked, TreeView } from './walk.ts';

/** What a layer hides in a directory, and in those below. */
interface Hidden {
  readonly opaque: boolean;
  readonly cuts: ReadonlySet<ByteString>;
  readonly inside: Map<ByteString, Hidden>;
}

interface Layer {
  readonly root: ModelNode;
  readonly hidden: Hidden | undefined;
  /** Paths that the layers below may yet prove to be symlinks. */
  guesses: readonly ByteString[];
}

interface Part {
  /** Undefined: the layer only hides something in the directory. */
  readonly node: ModelNode | undefined;
  readonly hidden: Hidden | undefined;
}

/** A directory as the layers show it, nearest first. `open`: layers that were not read may add to it. */
export interface StackDir {
  readonly parts: readonly Part[];
  readonly open: boolean;
}

export class LayerStack implements TreeView<StackDir> {
  readonly #layers: Layer[] = [];
  #complete = false;

  /** The next layer below, as it was applied blind. `isLast`: there is none below. */
  add(root: ModelNode, { nodes, guesses }: LayerRecord, isLast: boolean): void {
    const all: Hidden[] = [];
    for (const { name, parent, opaque, cuts } of nodes) {
      const hidden = { opaque, cuts: new Set(cuts), inside: new Map() };
      all[parent]?.inside.set(name, hidden);
      all.push(hidden);
    }
    this.#layers.push({ root, hidden: all[0], guesses });
    this.#complete = isLast;
  }

  /** `wrong`: a layer has to be applied in order. `open`: more layers have to be read. */
  settle(): 'settled' | 'open' | 'wrong' {
    let outcome: 'settled' | 'open' = 'settled';
    for (const [index, layer] of this.#layers.entries()) {
      const below = this.#rootFrom(index + 1);
      const open: ByteString[] = [];
      for (const guess of layer.guesses) {
        const state = this.#check(below, guess.split('/'));
        if (state === 'wrong') return 'wrong';
        if (state === 'open') open.push(guess);
      }
      layer.guesses = open;
      if (open.length > 0) outcome = 'open';
    }
    return outcome;
  }

  /** Whether a path is no symlink below. */
  #check(root: StackDir, way: readonly ByteString[]): 'right' | 'open' | 'wrong' {
    let dir = root;
    for (const [i, name] of way.entries()) {
      const found = this.lookup(dir, name);
      if (found.is === 'unknown') return 'open';
      if (found.is === 'absent') return 'right';
      if (found.is === 'other') return i === way.length - 1 && isSymlink(found.node) ? 'wrong' : 'right';
      dir = found.dir;
    }
    return 'right';
  }

  get root(): StackDir {
    return this.#rootFrom(0);
  }

  #rootFrom(first: number): StackDir {
    const parts: Part[] = [];
    for (const { root, hidden } of this.#layers.slice(first)) {
      parts.push({ node: root, hidden });
      if (hidden?.opaque === true) return { parts, open: false };
    }
    return { parts, open: !this.#complete };
  }

  // biome-ignore lint/complexity/noExcessiveCognitiveComplexity: one loop over the layers, each of which may end what the next is asked
  lookup({ parts, open }: StackDir, name: ByteString): Looked<StackDir> {
    const found: Part[] = [];
    const shown = (isOpen: boolean): Looked<StackDir> => ({
      is: 'directory',
      dir: { parts: found, open: isOpen },
    });
    let exists = false;
    let sealed = false;
    for (const { node, hidden } of parts) {
      const child = node?.children?.get(name);
      if (child !== undefined && !isDirectory(child))
        return exists ? shown(false) : { is: 'other', node: child };
      const inside = hidden?.inside.get(name);
      exists ||= child !== undefined;
      if (!sealed && (child !== undefined || inside !== undefined))
        found.push({ node: child, hidden: inside });
      sealed ||= inside?.opaque === true;
      const hides = hidden !== undefined && (hidden.opaque || hidden.cuts.has(name));
      if (exists && (sealed || hides)) return shown(false);
      if (hides) return { is: 'absent' };
    }
    if (exists) return shown(open);
    return { is: open ? 'unknown' : 'absent' };
  }
}
