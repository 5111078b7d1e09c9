import type { ByteString } from '../bytes.ts';
import type { Dir, TimeSpec } from '../ports/syscalls.ts';

export interface Handles {
  readonly upper: Dir | undefined;
  /** Nearest first, only those that show through one another, and only as far as somebody asked. */
  readonly lowers: Dir[];
  /** How many of the directories above were looked into for them; all, when `complete`. */
  searched: number;
  complete: boolean;
}

export interface Times {
  readonly atime: TimeSpec;
  readonly mtime: TimeSpec;
}

/**
 * A directory of the merged tree, by its real path, and what the layer did in it so far. There is a node only for what
 * is a directory now: whoever removes or replaces one drops its node.
 */
export class DirNode {
  readonly parent: DirNode | undefined;
  readonly name: ByteString;
  readonly depth: number;
  readonly children: Map<ByteString, DirNode> = new Map();
  handles: Handles | undefined;

  /** `implicit`: the layer wrote below it, but has no entry for it. */
  made: 'no' | 'implicit' | 'explicit' = 'no';
  /** Of an explicit directory, set at the end. */
  final: (Times & { readonly mode: number }) | undefined;
  /** Names whose lower thing this layer hides. */
  cuts: Set<ByteString> | undefined;
  /** Everything lower in it is hidden. */
  opaque = false;
  /** Non-directories that were brought up from below for a hard link: not the layer's own (overlay). */
  copied: Set<ByteString> | undefined;
  /** Non-directories that the layer wrote (flat). */
  written: Set<ByteString> | undefined;
  /** The times of a directory from below, before we changed anything in it (flat). */
  before: Times | undefined;
  /** There is no such directory below, or the layer hides it (flat). */
  fresh = false;
  /** Its mode before we made it accessible to ourselves, which lasts until the layer is settled (flat). */
  locked: number | undefined;

  /** New inodes in it get this process's ids and the mode asked for. */
  plain = false;

  constructor(parent: DirNode | undefined, name: ByteString) {
    this.parent = parent;
    this.name = name;
    this.depth = parent === undefined ? 0 : parent.depth + 1;
  }

  hides(name: ByteString): boolean {
    return this.opaque || this.cuts?.has(name) === true;
  }
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
