import type { ByteString } from '../bytes.ts';
import type { TimeSpec } from './syscalls.ts';

/** A directory of a layer that was applied blind. */
export interface NodeRecord {
  readonly name: ByteString;
  /** Its parent's place in the list; the root is the first and its own. */
  readonly parent: number;
  /** `no`: it is named only to hide something in it; `implicit`: the layer wrote below it, but has no entry for it. */
  readonly made: 'no' | 'implicit' | 'explicit';
  /** Everything lower in it is hidden. */
  readonly opaque: boolean;
  /** Names whose lower things are hidden. */
  readonly cuts: readonly ByteString[];
  /** Of explicit ones: what to set when all is done. */
  readonly final: { readonly mode: number; readonly atime: TimeSpec; readonly mtime: TimeSpec } | null;
}

/**
 * What is left to do for a layer that was applied without sight of the layers below (core/archive/layer-record.ts): plain
 * data, for it waits for them and is used in another thread.
 */
export interface LayerRecord {
  /** The directories that depend on what is below, and those above them, parents first. */
  readonly nodes: readonly NodeRecord[];
  /** Paths that the layer took to be no symlinks below. */
  readonly guesses: readonly ByteString[];
}
