import type { ContentStore, LocalBlobs } from '../../core/content/content-store.ts';
import type { Applied, Applier, ApplyOptions } from '../../core/layers/applier.ts';
import { applyByWorker, applyTarget } from '../../core/layers/apply-mounts.ts';
import type { WriteOut } from '../../core/layers/write-out.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { Mount } from '../../core/ports/mounter.ts';
import { readIdMaps } from '../../core/users/id-map.ts';
import type { Store } from './store.ts';
import { markUnsynced } from './unsynced.ts';

/** Applies layers in worker threads, directly into the snapshot's directory: nothing is mounted. */
export class LocalApplier implements Applier {
  readonly #store: Store;
  readonly #content: ContentStore & LocalBlobs;
  readonly #writeOut: WriteOut;

  constructor(store: Store, content: ContentStore & LocalBlobs, writeOut: WriteOut) {
    this.#store = store;
    this.#content = content;
    this.#writeOut = writeOut;
  }

  prepare(): void {
    this.#store.runtime.workers.warm();
  }

  async apply(layer: Descriptor, mounts: readonly Mount[], opts: ApplyOptions = {}): Promise<Applied> {
    const { workers, fs } = this.#store.runtime;
    const target = applyTarget(mounts, opts.below);
    const growing = this.#content.growing(layer.digest) ?? null;
    const { size } = growing === null ? await this.#content.info(layer.digest, opts) : layer;
    const { uids, gids } = await readIdMaps(fs, opts);
    markUnsynced(this.#store, target.root);
    const source = { blob: this.#content.blobPath(layer.digest), blobSize: size, growing, uids, gids };
    const snapshots = this.#store.path('snapshots');
    const place = target.root.startsWith(`${snapshots}/`) ? snapshots : target.root;
    return await this.#writeOut.during(place, () => applyByWorker(workers, layer, source, target, opts));
  }
}
