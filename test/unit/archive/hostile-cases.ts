/** A hostile input and what must come of it. */
import { file, layer } from '../../support/layer-builder.ts';
import type { How, Result } from './hostile.ts';

export interface Case extends How {
  /** One blob a layer. */
  readonly blobs: (out: string) => readonly Uint8Array[];
  /** Lines of the tree, in every mode. */
  readonly want?: readonly string[];
  readonly fails?: RegExp;
  readonly check?: (result: Result) => void;
  /** Not by tools, each call of which costs milliseconds, or which cannot. */
  readonly notByTools?: boolean;
  /** Names that are not UTF-8: not for a provider that cannot take them. */
  readonly notUtf8?: boolean;
}

/** What the layer `one` gives. */
export const F: readonly string[] = ['f=f'];
export const one: Uint8Array = layer(file('f', 'f'));
