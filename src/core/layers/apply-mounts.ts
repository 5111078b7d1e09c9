/** Applying a layer by workers of our own, right into the directories that mounts would show. */
import { HawserError, wrap } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parseDigest } from '../oci/digest.ts';
import type { Mount } from '../ports/mounter.ts';
import type { OwnerPolicy } from '../users/owner-policy.ts';
import type { Applied, ApplyOptions, Below } from './applier.ts';
import { jobSettings } from './layer-settings.ts';
import type { ApplyJob, Workers } from './workers.ts';

export type ApplyTarget = Pick<ApplyJob, 'root' | 'lowers' | 'mode'>;

function option(mount: Mount, name: string): string | undefined {
  return mount.options.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** Where a layer for these mounts is written: into the overlay's upper directory, or right into a writable tree. */
export function applyTarget(mounts: readonly Mount[], below: Below = 'mounts'): ApplyTarget {
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

/** The layer's blob, and the ids that its files can be given. */
export type LayerSource = Pick<ApplyJob, 'blob' | 'blobSize' | 'growing'> &
  Pick<OwnerPolicy, 'uids' | 'gids'>;

export async function applyByWorker(
  workers: Pick<Workers, 'apply'>,
  layer: Descriptor,
  { uids, gids, ...blob }: LayerSource,
  target: ApplyTarget,
  opts: ApplyOptions,
): Promise<Applied> {
  const { settings = {} } = opts;
  const job: ApplyJob = {
    ...blob,
    mediaType: layer.mediaType,
    ...jobSettings(settings),
    owner: { mode: settings.owner ?? 'keep', uids, gids },
    ...target,
  };
  try {
    const { size, entries, times, warnings, record, diffId } = await workers.apply(job, opts);
    return { digest: parseDigest(diffId), size, entries, times, warnings, record: record ?? undefined };
  } catch (err) {
    throw wrap(`Cannot apply layer ${layer.digest}`, err);
  }
}
