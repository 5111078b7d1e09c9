import type { LocalBlobs } from '../../core/content/content-store.ts';
import { HawserError } from '../../core/errors.ts';
import type { LayerChecker, StoredLayer } from '../../core/layers/layer-checker.ts';
import type { LayerCheck, LayerToCheck } from '../../core/layers/workers.ts';
import type { Call } from '../../core/ports/call.ts';
import { readIdMaps } from '../../core/users/id-map.ts';
import type { LocalSnapshotter } from './snapshots/snapshotter.ts';
import type { Store } from './store.ts';

export class LocalChecker implements LayerChecker {
  readonly #store: Store;
  readonly #content: LocalBlobs;
  readonly #snapshotters: ReadonlyMap<string, LocalSnapshotter>;

  constructor(store: Store, content: LocalBlobs, snapshotters: ReadonlyMap<string, LocalSnapshotter>) {
    this.#store = store;
    this.#content = content;
    this.#snapshotters = snapshotters;
  }

  /** The layers were let in when they were unpacked: no limit is asked again. */
  async check(
    name: string,
    layers: readonly StoredLayer[],
    { rate = 0, ...call }: { rate?: number | undefined; onProgress?: (bytes: number) => void } & Call = {},
  ): Promise<LayerCheck[]> {
    const { fs, workers } = this.#store.runtime;
    const snapshotter = this.#snapshotters.get(name);
    if (snapshotter === undefined) throw new HawserError('InvalidArgument', `No snapshotter "${name}"`);
    const { isNamespace } = await readIdMaps(fs, call);
    const limits = { codec: 'auto', maxBytes: Number.MAX_SAFE_INTEGER, maxRatio: 0 } as const;
    const checked = layers.map(
      ({ layer, diffId, chainId, parent, compare }): LayerToCheck => ({
        blob: this.#content.blobPath(layer.digest),
        blobSize: layer.size,
        mediaType: layer.mediaType,
        diffId,
        parent,
        tree: compare ? (snapshotter.layerTree(chainId) ?? null) : null,
      }),
    );
    const { stacking } = snapshotter;
    return await workers.check({ layers: checked, stacking, devices: !isNamespace, rate, ...limits }, call);
  }
}
