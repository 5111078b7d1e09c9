/** The ways to apply a layer over others, as functions on directories. */
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type ApplyTarget, LayerApplier } from '../../../src/core/archive/apply.ts';
import { isNeedsBelow } from '../../../src/core/archive/guesses.ts';
import { KnownStore } from '../../../src/core/archive/known-layers.ts';
import type { LayerRecord } from '../../../src/core/archive/layer-record.ts';
import { TarReader } from '../../../src/core/archive/tar-reader.ts';
import { isKind } from '../../../src/core/errors.ts';
import { rebaseLayer } from '../../../src/core/layers/rebase-layer.ts';
import type { Syscalls } from '../../../src/core/ports/syscalls.ts';
import { openProvider, type ProviderName } from '../../support/this-runtime.ts';

export function syscallsHere(provider: ProviderName = 'ffi'): Syscalls {
  return openProvider(provider);
}

type Target = Omit<ApplyTarget, 'maxBytes'> & { maxBytes?: number };

export function apply(sys: Syscalls, target: Target, tar: Uint8Array): readonly string[] {
  return applied(sys, target, tar).warnings;
}

/** What one layer gave; mode `blind` has a record for the rebase. */
interface Blind {
  readonly record: LayerRecord | undefined;
  readonly warnings: readonly string[];
}

/** Into a directory of its own without sight of those below. */
export function applyBlind(sys: Syscalls, root: string, tar: Uint8Array): Blind {
  return applied(sys, { root, lowers: [], mode: 'blind' }, tar);
}

function applied(sys: Syscalls, target: Target, tar: Uint8Array): Blind {
  const applier = new LayerApplier(sys, { maxBytes: 1 << 30, ...target });
  try {
    const reader = new TarReader(applier);
    reader.push(tar);
    reader.end();
    return { record: applier.finish(), warnings: applier.warnings };
  } finally {
    applier.close();
  }
}

/** What a way did with one layer. */
export interface Applied {
  readonly warnings: readonly string[];
  /** It was applied blind, and rebased. */
  readonly rebased: boolean;
}

/** One way to apply a stack. Each has for each stack a directory for its layers and one where the merged tree is seen. */
export interface Way {
  /** Applies the next layer. */
  layer(sys: Syscalls, spot: Spot, index: number, tar: Uint8Array): Applied;
  /** The tree is that of an overlay over the layers' own directories; else it is in the view already. */
  readonly mounts: boolean;
}

export interface Spot {
  readonly layers: string;
  /** At first empty, 0755, of 1970. */
  readonly view: string;
}

export const ownDirectory = (spot: Spot, index: number): string => join(spot.layers, String(index));

/** The layers' directories below one, nearest first. */
export const directoriesBelow = (spot: Spot, index: number): string[] =>
  Array.from({ length: index }, (_, i) => ownDirectory(spot, index - 1 - i));

function inOrder(sys: Syscalls, target: Omit<ApplyTarget, 'maxBytes'>, tar: Uint8Array): Applied {
  return { warnings: apply(sys, target, tar), rebased: false };
}

const overlay: Way = {
  mounts: true,
  layer(sys, spot, index, tar) {
    const root = ownDirectory(spot, index);
    mkdirSync(root);
    return inOrder(sys, { root, lowers: directoriesBelow(spot, index), mode: 'overlay' }, tar);
  },
};

const flat: Way = {
  mounts: false,
  layer: (sys, spot, _, tar) => inOrder(sys, { root: spot.view, lowers: [], mode: 'flat' }, tar),
};

/** Undefined when the layer cannot be applied so, or is refused. */
export function tryBlind(
  sys: Syscalls,
  root: string,
  tar: Uint8Array,
): (Blind & { record: LayerRecord }) | undefined {
  try {
    const { record, warnings } = applyBlind(sys, root, tar);
    // As it crosses to the thread that rebases.
    return record && { record: structuredClone(record), warnings };
  } catch (err) {
    if (isNeedsBelow(err) || isKind(err, 'InvalidArgument')) return undefined;
    throw err;
  }
}

/** Of the layers of the stack at hand, as the thread that rebases keeps them. */
const known = new KnownStore();

/** As core/layers/extract.ts has it: blind and rebased, or applied again in order. */
const overlayBlind: Way = {
  mounts: true,
  layer(sys, spot, index, tar) {
    const root = ownDirectory(spot, index);
    mkdirSync(root);
    const blind = tryBlind(sys, root, tar);
    const lowers = directoriesBelow(spot, index);
    const job = { root, lowers, mode: 'overlay' } as const;
    const memory = known.layers(spot.layers);
    if (blind && rebaseLayer(sys, { ...job, record: blind.record }, {}, memory) === undefined) {
      return { warnings: blind.warnings, rebased: true };
    }
    rmSync(root, { recursive: true });
    mkdirSync(root);
    return inOrder(sys, job, tar);
  },
};

/** The view is the tree below until the layer is rebased over it, and then makes way. */
const flatBlind: Way = {
  mounts: false,
  layer(sys, spot, index, tar) {
    const root = ownDirectory(spot, index);
    mkdirSync(root);
    const blind = tryBlind(sys, root, tar);
    const lowers = index === 0 ? [] : [spot.view];
    if (blind && rebaseLayer(sys, { root, lowers, mode: 'flat', record: blind.record }) === undefined) {
      rmSync(spot.view, { recursive: true });
      renameSync(root, spot.view);
      return { warnings: blind.warnings, rebased: true };
    }
    return inOrder(sys, { root: spot.view, lowers: [], mode: 'flat' }, tar);
  },
};

export type WayName = 'overlay' | 'flat' | 'overlayBlind' | 'flatBlind';
/** The merged tree must be the same whichever it is. */
export const WAYS: Readonly<Record<WayName, Way>> = { overlay, flat, overlayBlind, flatBlind };
export const WAY_NAMES: readonly WayName[] = Object.keys(WAYS) as WayName[];
