/** Applying a layer by workers of our own, right into the directories of its snapshot: nothing is mounted. */
import { HawserError, wrap } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parseDigest } from '../oci/digest.ts';
import type { SnapshotTrees } from '../snapshots/snapshotter.ts';
import type { OwnerPolicy } from '../users/owner-policy.ts';
import type { Applied, ApplyOptions, Below } from './applier.ts';
import { jobSettings } from './layer-settings.ts';
import type { ApplyJob, Workers } from './workers.ts';

export type LayerTarget = Pick<ApplyJob, 'root' | 'lowers' | 'mode'>;

/**
 * Where a snapshot takes a layer: in the upper directory, over those of the layers below, or in a whole tree. FailedPrecondition
 * for a view.
 */
export function applyTarget({ upper, lowers }: SnapshotTrees, below: Below = 'mounts'): LayerTarget {
  if (upper === undefined) {
    throw new HawserError(
      'FailedPrecondition',
      `Cannot apply a layer to a view of ${lowers.join(', ').slice(0, 300)}: it takes an active snapshot`,
    );
  }
  if (lowers.length > 0 || below === 'none') return { root: upper, lowers, mode: 'overlay' };
  return { root: upper, lowers, mode: below === 'unknown' ? 'blind' : 'flat' };
}

/** The layer's blob, and the ids that this process can give to files. */
export type LayerSource = Pick<ApplyJob, 'blob' | 'blobSize' | 'growing'> &
  Pick<OwnerPolicy, 'uids' | 'gids'>;

export async function applyByWorker(
  workers: Pick<Workers, 'apply'>,
  layer: Descriptor,
  { uids, gids, ...blob }: LayerSource,
  target: LayerTarget,
  opts: ApplyOptions,
): Promise<Applied> {
  const { settings = {} } = opts;
  const job: ApplyJob = {
    ...blob,
    mediaType: layer.mediaType,
    ...jobSettings(settings),
    image: opts.image,
    owner: { mode: settings.owner ?? 'keep', uids, gids },
    ...target,
  };
  try {
    const { diffId, record, ...applied } = await workers.apply(job, opts);
    return { ...applied, digest: parseDigest(diffId), record: record ?? undefined };
  } catch (err) {
    throw wrap(`Cannot apply layer ${layer.digest}`, err);
  }
}
