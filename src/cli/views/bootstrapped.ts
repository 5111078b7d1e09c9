import type { ImageFailure } from '../../core/progress/final-event.ts';
import type { FetchResult } from '../../core/verbs/options.ts';

/** An image that is on the node. */
export interface BootstrappedImage extends FetchResult {
  /** `present`: it was there before, under this name. */
  readonly state: 'imported' | 'pulled' | 'present';
  /** The file or directory that brought or listed it. */
  readonly source: string;
}

/** What a node was filled with. */
export interface Bootstrapped {
  readonly address: string;
  readonly namespace: string;
  readonly images: readonly BootstrappedImage[];
  readonly failed: readonly ImageFailure[];
}
