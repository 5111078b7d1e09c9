import { cleanupSignal } from '../async/abort.ts';
import { cleaningUp } from '../async/cleanup.ts';
import type { Backend } from '../backend.ts';
import { ifFound, isKind, messageOf, wrap } from '../errors.ts';
import type { UnpackJob } from '../layers/unpack-job.ts';
import type { Lease, LeaseResource } from '../leases/lease-store.ts';
import { parseDigest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
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
 * Runs `work` under a lease that is dropped when it succeeds, or has brought nothing; otherwise the lease protects what was fetched
 * until it expires. A lease that cannot be dropped is a note of the error, or a warning after success.
 */
export async function withJob<D extends StoreDeps, O extends VerbOptions, T>(
  deps: D,
  options: O,
  work: (job: Job<D, O>) => Promise<T>,
): Promise<T> {
  const { backend } = deps;
  const { signal = new AbortController().signal, report = () => {} } = options;
  signal.throwIfAborted();
  const lease = await backend.leases.create({ expiresIn: LEASE_LIFETIME, signal });
  let succeeded = false;
  return await cleaningUp(
    async () => {
      const result = await work({ deps, options, lease: lease.id, signal, report });
      succeeded = true;
      return result;
    },
    () => dropLease(backend, lease, succeeded),
    (failure) => report({ type: 'warning', message: messageOf(failure) }),
  );
}

type LeasedBackend = Pick<Backend, 'content' | 'leases' | 'snapshotter'>;

/** Unless the verb has failed, and left something that its lease protects. */
async function dropLease(backend: LeasedBackend, lease: Lease, succeeded: boolean): Promise<void> {
  const call = { signal: cleanupSignal() };
  const { id } = lease;
  try {
    if (succeeded || !(await hasBrought(backend, lease, call)))
      await ifFound(backend.leases.delete(id, call));
  } catch (err) {
    if (!isKind(err, 'NotFound'))
      throw wrap(`Cannot drop the lease ${id}, which ends by itself within a day`, err);
  }
}

/**
 * Whether the lease protects bytes of an ingest, a blob or a snapshot that came under it. What was there before has its own protection, and
 * goes with that: `images rm` would not free the space of an image that a failed verb still leases.
 */
async function hasBrought(backend: LeasedBackend, lease: Lease, call: Call): Promise<boolean> {
  for (const resource of await backend.leases.resources(lease.id, call)) {
    if ((await ifFound(isNew(backend, resource, lease.createdAt, call))) === true) return true;
  }
  return false;
}

async function isNew(
  { content, snapshotter }: LeasedBackend,
  { type, id }: LeaseResource,
  since: number,
  call: Call,
): Promise<boolean> {
  const [kind, name] = type.split('/');
  if (kind === 'ingests') return (await content.status(id, call)).offset > 0;
  if (kind === 'content') return (await content.info(parseDigest(id), call)).createdAt >= since;
  return (await snapshotter(name).stat(id, call)).createdAt >= since;
}

/** The part of a job that unpacking one image needs, with a snapshotter of the backend's by name. */
export function unpackJob(
  { deps, lease, signal, report }: Job<StoreDeps & Pick<TransferDeps, 'together'>>,
  { snapshotter, layerSettings }: Pick<PullOptions, 'snapshotter' | 'layerSettings'>,
  blob: UnpackJob['blob'],
): UnpackJob {
  const { backend, clock, cpus } = deps;
  const { content, leases, applier } = backend;
  const { together } = deps;
  const shared = { content, leases, applier, clock, cpus, lease, signal, report, together };
  return { ...shared, snapshotter: backend.snapshotter(snapshotter), settings: layerSettings, blob };
}
