import type { ByteString } from '../bytes.ts';
import type { Dir, TimeSpec } from '../ports/syscalls.ts';
import type { LowerChain } from './lower-chain.ts';

export interface Times {
  readonly atime: TimeSpec;
  readonly mtime: TimeSpec;
}

/** The mode and times of an entry: set when nothing is made in its directory any more. */
export interface Final extends Times {
  readonly mode: number;
}

/**
 * How the layer has a directory. `no`: not at all, it is known only because something in it is looked up or hidden.
 * `implicit`: the layer wrote below it, but has no entry for it. `explicit`: by an entry.
 */
export type Made =
  | { readonly by: 'no' }
  | { readonly by: 'implicit' }
  | ({ readonly by: 'explicit' } & Final);

export const NOT_MADE: Made = { by: 'no' };
export const IMPLICIT: Made = { by: 'implicit' };

/** What an overlay layer notes of a directory. */
export interface OverlayNotes {
  readonly kind: 'overlay';
  /** Non-directories that were brought up from below for a hard link: not the layer's own. */
  readonly copied: Set<ByteString>;
}

/** What a flat layer notes of a directory. */
export interface FlatNotes {
  readonly kind: 'flat';
  /** Non-directories that the layer wrote. */
  written: Set<ByteString> | undefined;
  /** There is no such directory below, or the layer hides it. */
  fresh: boolean;
  /** The times of a directory from below, before anything in it was changed. */
  before: Times | undefined;
}

/**
 * A directory of the merged tree, by its real path, and what the layer did in it so far. There is a node only for what
 * is a directory now: whoever removes or replaces a directory drops its node.
 */
export class DirNode {
  readonly parent: DirNode | undefined;
  readonly name: ByteString;
  readonly depth: number;
  readonly children: Map<ByteString, DirNode> = new Map();

  made: Made = NOT_MADE;
  /** Names whose lower thing this layer hides. */
  cuts: Set<ByteString> | undefined;
  /** Everything lower in it is hidden. */
  opaque = false;
  notes: OverlayNotes | FlatNotes | undefined;
  /** New inodes in it get this process's ids and the mode asked for. */
  plain = false;

  /** MergedTree's: whether somebody looked for the directory in the layer, and its handle while that is open. */
  looked = false;
  upper: Dir | undefined;
  /** LowerLayers's. */
  lowers: LowerChain | undefined;
  /** MergedTree's: the mode before the tree gave this process access, which lasts until the layer is settled. */
  locked: number | undefined;

  constructor(parent: DirNode | undefined, name: ByteString) {
    this.parent = parent;
    this.name = name;
    this.depth = parent === undefined ? 0 : parent.depth + 1;
  }

  hides(name: ByteString): boolean {
    return this.opaque || this.cuts?.has(name) === true;
  }

  /** Notes that the layer hides what is below at `name`. */
  cut(name: ByteString): void {
    this.cuts ??= new Set();
    this.cuts.add(name);
  }
}

/** Where an entry goes. */
export interface Slot {
  readonly node: DirNode;
  readonly name: ByteString;
}

/** Nothing from below shows in it. */
export function isBare(node: DirNode): boolean {
  if (node.opaque) return true;
  for (let at = node; at.parent !== undefined; at = at.parent) if (at.parent.hides(at.name)) return true;
  return false;
}

/** The way to it from the root. */
export function wayTo(node: DirNode): ByteString[] {
  const way: ByteString[] = [];
  for (let at = node; at.parent !== undefined; at = at.parent) way.push(at.name);
  return way.reverse();
}
