import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { LayerCheck } from './workers.ts';

/** A layer of the store, by its blob and its snapshot. */
export interface StoredLayer {
  readonly layer: Descriptor;
  readonly diffId: string;
  readonly chainId: string;
  /** The index of the layer below in the list; -1 for none. */
  readonly parent: number;
  /** False: the snapshot is not looked at; the layer is only needed for those above. */
  readonly compare: boolean;
}

/** Compares committed snapshots with the blobs of their layers. Writes nothing. */
export interface LayerChecker {
  /**
   * `layers`: each follows those below it at once (depth first). `rate`: bytes a second; not given, no limit. `onProgress`: bytes read so
   * far. Returns a result for each.
   */
  check(
    snapshotter: string,
    layers: readonly StoredLayer[],
    opts?: { rate?: number | undefined; onProgress?: (bytes: number) => void } & Call,
  ): Promise<LayerCheck[]>;
}
