import type { ContentStore, LocalBlobs } from '../../core/content/content-store.ts';
import { HawserError } from '../../core/errors.ts';
import type { Applied, Applier, ApplyOptions } from '../../core/layers/applier.ts';
import { applyByWorker, applyTarget } from '../../core/layers/apply-by-worker.ts';
import { checkLayerType } from '../../core/layers/layer-type.ts';
import type { WriteOut } from '../../core/layers/write-out.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { PreparedSnapshot } from '../../core/snapshots/snapshotter.ts';
import { readIdMaps } from '../../core/users/id-map.ts';
import type { Durability } from './durability.ts';
import type { Extractions } from './snapshots/extractions.ts';
import type { Store } from './store.ts';

/** Applies layers in worker threads, directly into the snapshot's directory: nothing is mounted. */
export class LocalApplier implements Applier {
  readonly #store: Store;
  readonly #content: ContentStore & LocalBlobs;
  readonly #durability: Durability;
  readonly #extractions: Extractions;
  readonly #writeOut: WriteOut;

  constructor(
    store: Store,
    content: ContentStore & LocalBlobs,
    parts: { durability: Durability; extractions: Extractions; writeOut: WriteOut },
  ) {
    this.#store = store;
    this.#content = content;
    this.#durability = parts.durability;
    this.#extractions = parts.extractions;
    this.#writeOut = parts.writeOut;
  }

  prepare(): void {
    this.#store.runtime.workers.warm();
  }

  readonly checkType: (mediaType: string) => void = checkLayerType;

  async apply(layer: Descriptor, { trees, id }: PreparedSnapshot, opts: ApplyOptions = {}): Promise<Applied> {
    const { workers, fs } = this.#store.runtime;
    if (trees === undefined) throw new HawserError('Internal', 'The snapshot is not one of this store');
    const target = applyTarget(trees, opts.below);
    const growing = this.#content.growing(layer.digest) ?? null;
    const { size } = growing === null ? await this.#content.info(layer.digest, opts) : layer;
    const { uids, gids } = await readIdMaps(fs, opts);
    if (id !== undefined) await this.#durability.mark(id, opts);
    const source = { blob: this.#content.blobPath(layer.digest), blobSize: size, growing, uids, gids };
    // A directory outside the store is written out by whoever makes it (core/output/output-directory.ts).
    if (id === undefined) return await applyByWorker(workers, layer, source, target, opts);
    const onProgress = (bytes: number): void => {
      this.#extractions.progress(id, bytes);
      opts.onProgress?.(bytes);
    };
    const work = () => applyByWorker(workers, layer, source, target, { ...opts, onProgress });
    return await this.#writeOut.during(this.#store.path('snapshots'), work);
  }
}
