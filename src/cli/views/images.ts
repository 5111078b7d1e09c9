import type { Image } from '../../core/images/image-store.ts';
import type { ImageNode, ImageStatus } from '../../core/images/inspect.ts';

export interface ImageRow {
  readonly image: Image;
  /** Compressed bytes, as far as the documents are here. */
  readonly size: number;
  /** Undefined when they cannot be told. */
  readonly platforms: readonly string[] | undefined;
  readonly warnings: readonly string[];
}

export interface CheckRow {
  readonly image: Image;
  /** Undefined when the check itself failed. */
  readonly status: ImageStatus | undefined;
  readonly unpacked: boolean;
  readonly errors: readonly unknown[];
}

export interface InspectedImage {
  readonly image: Image;
  readonly tree: ImageNode;
}
