import type { ContentStore, LocalBlobs } from '../../core/content/roles.ts';
import { HawserError, wrap } from '../../core/errors.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import { parseDigest } from '../../core/oci/digest.ts';
import type { Mount } from '../../core/ports/mounter.ts';
import type { ApplyJob, LayerLimits } from '../../core/ports/workers.ts';
import type { Applied, Applier, ApplyOptions, Below } from '../../core/unpack/roles.ts';
import { readIdMaps } from '../../core/users/id-map.ts';
import type { Store } from './store.ts';
import { markUnsynced } from './unsynced.ts';

/** A layer beyond these is a bomb, whatever the disk could hold. Deflate itself makes at most 1032 bytes of one. */
const DEFAULT_LIMITS: LayerLimits = { maxBytes: 2 ** 40, maxRatio: 1000 };

type Target = Pick<ApplyJob, 'root' | 'lowers' | 'mode'>;

function option(mount: Mount, name: string): string | undefined {
  return mount.options.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** Where a layer for these mounts is written: into the overlay's upper directory, or right into a writable tree. */
export function applyTarget(mounts: readonly Mount[], below: Below = 'mounts'): Target {
  const [mount, ...more] = mounts;
  const plain = more.length === 0 && mount?.type === 'bind' && mount.options.includes('rw');
  if (plain && below !== 'mounts') {
    return { root: mount.source, lowers: [], mode: below === 'none' ? 'overlay' : 'blind' };
  }
  if (plain) return { root: mount.source, lowers: [], mode: 'flat' };
  if (mount !== undefined && more.length === 0) {
    const upper = option(mount, 'upperdir');
    if (mount.type === 'overlay' && upper !== undefined) {
      return { root: upper, lowers: (option(mount, 'lowerdir') ?? '').split(':'), mode: 'overlay' };
    }
  }
  throw new HawserError(
    'FailedPrecondition',
    `Cannot apply a layer to the mounts ${JSON.stringify(mounts).slice(0, 300)}: they are not those of an active snapshot`,
  );
}

/** Applies layers in worker threads, straight into the snapshot's directory: nothing is mounted. */
export class LocalApplier implements Applier {
  readonly #store: Store;
  readonly #content: ContentStore & LocalBlobs;

  constructor(store: Store, content: ContentStore & LocalBlobs) {
    this.#store = store;
    this.#content = content;
  }

  prepare(): void {
    this.#store.runtime.workers.warm();
  }

  async apply(layer: Descriptor, mounts: readonly Mount[], opts: ApplyOptions = {}): Promise<Applied> {
    const target = applyTarget(mounts, opts.below);
    const growing = this.#content.growing(layer.digest) ?? null;
    const { size } = growing === null ? await this.#content.info(layer.digest, opts) : layer;
    const { uids, gids } = await readIdMaps(this.#store.runtime.fs, opts);
    const job: ApplyJob = {
      blob: this.#content.blobPath(layer.digest),
      blobSize: size,
      growing,
      mediaType: layer.mediaType,
      codec: opts.codec ?? 'auto',
      owner: { mode: opts.owner ?? 'keep', uids, gids },
      ...DEFAULT_LIMITS,
      ...opts.limits,
      ...target,
    };
    markUnsynced(this.#store, target.root);
    try {
      const result = await this.#store.runtime.workers.apply(job, opts);
      const { size: expanded, entries, times, warnings, record } = result;
      const told = { size: expanded, entries, times, warnings };
      return { ...told, digest: parseDigest(result.diffId), record: record ?? undefined };
    } catch (err) {
      throw wrap(`Cannot apply layer ${layer.digest}`, err);
    }
  }
}
