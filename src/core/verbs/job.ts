import { cleanupSignal } from '../async/abort.ts';
import { cleaningUp } from '../async/cleanup.ts';
import { ifFound, isKind, messageOf, wrap } from '../errors.ts';
import type { UnpackJob } from '../layers/unpack-job.ts';
import type { Leases } from '../leases/lease-store.ts';
import type { Report } from '../progress/events.ts';
import type { FetchOptions, PullOptions, StoreDeps, TransferDeps, VerbOptions } from './options.ts';

/** One run of a verb: whom it works with, what is wanted, the lease that protects its content, how it is stopped and told. */
export interface Job<D extends StoreDeps = StoreDeps, O extends VerbOptions = VerbOptions> {
  readonly deps: D;
  readonly options: O;
  readonly lease: string;
  readonly signal: AbortSignal;
  readonly report: Report;
}

export type FetchJob = Job<TransferDeps, FetchOptions>;

/** An interrupted verb's content is kept this long for the next one, in milliseconds. */
const LEASE_LIFETIME = 24 * 3600 * 1000;

/**
 * Runs `work` under a lease that is dropped when it succeeds; otherwise the lease protects what was fetched until it expires. A
 * lease that cannot be dropped is a note of the error, or a warning after success.
 */
export async function withJob<D extends StoreDeps, O extends VerbOptions, T>(
  deps: D,
  options: O,
  work: (job: Job<D, O>) => Promise<T>,
): Promise<T> {
  const { leases } = deps.backend;
  const { signal = new AbortController().signal, report = () => {} } = options;
  signal.throwIfAborted();
  const lease = (await leases.create({ expiresIn: LEASE_LIFETIME, signal })).id;
  let succeeded = false;
  return await cleaningUp(
    async () => {
      const result = await work({ deps, options, lease, signal, report });
      succeeded = true;
      return result;
    },
    () => dropLease(leases, lease, succeeded),
    (failure) => report({ type: 'warning', message: messageOf(failure) }),
  );
}

/** Drops the lease of a verb that succeeded, or one that protects nothing. */
async function dropLease(leases: Leases, id: string, succeeded: boolean): Promise<void> {
  const call = { signal: cleanupSignal() };
  try {
    if (succeeded || (await leases.resources(id, call)).length === 0) await ifFound(leases.delete(id, call));
  } catch (err) {
    if (!isKind(err, 'NotFound'))
      throw wrap(`Cannot drop the lease ${id}, which ends by itself within a day`, err);
  }
}

/** The part of a job that unpacking one image needs, with a snapshotter of the backend's by name. */
export function unpackJob(
  { deps, lease, signal, report }: Job,
  { snapshotter, layerSettings }: Pick<PullOptions, 'snapshotter' | 'layerSettings'>,
  blob: UnpackJob['blob'],
): UnpackJob {
  const { backend, clock, cpus } = deps;
  const { content, leases, applier } = backend;
  const shared = { content, leases, applier, clock, cpus, lease, signal, report };
  return { ...shared, snapshotter: backend.snapshotter(snapshotter), settings: layerSettings, blob };
}
