import { cleanupSignal } from '../async/abort.ts';
import { cleaningUp } from '../async/cleanup.ts';
import type { Backend } from '../backend.ts';
import { ifFound, isKind, messageOf, withHint, wrap } from '../errors.ts';
import type { UnpackJob } from '../layers/unpack-job.ts';
import { LEASE_IMAGE_LABEL, type Lease, type LeaseResource } from '../leases/lease-store.ts';
import { parseDigest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import { endLease } from './end-lease.ts';
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

/** An interrupted verb's content is kept this long for the next one, in milliseconds, unless the user says otherwise. */
const LEASE_LIFETIME = 24 * 3600 * 1000;

/** The options of a verb that brings an image. */
type Bringing = VerbOptions & Partial<Pick<FetchOptions, 'reference' | 'keepPartial'>>;

/**
 * Runs `work` under a lease that is dropped when it succeeds, or has brought nothing; otherwise the lease protects what was fetched
 * until it expires. A lease that cannot be dropped is a note of the error, or a warning after success. A verb that has brought an
 * image also ends the leases that dead processes left for the image, and collects when a collection is due.
 */
export async function withJob<D extends StoreDeps, O extends VerbOptions, T>(
  deps: D,
  options: O,
  work: (job: Job<D, O>) => Promise<T>,
): Promise<T> {
  const { backend } = deps;
  const {
    signal = new AbortController().signal,
    report = () => {},
    reference,
    keepPartial,
  }: Bringing = options;
  signal.throwIfAborted();
  const expiresIn = Math.max(LEASE_LIFETIME, keepPartial ?? 0);
  const lease = await backend.leases.create({ expiresIn, image: reference?.name, atWork: true, signal });
  let succeeded = false;
  return await cleaningUp(
    async () => {
      const result = await work({ deps, options, lease: lease.id, signal, report });
      succeeded = true;
      return result;
    },
    async () => {
      await dropLease(backend, lease, succeeded, keepPartial);
      if (succeeded && reference !== undefined) await tidyUp(backend, reference.name, report, signal);
    },
    (failure) => report({ type: 'warning', message: messageOf(failure) }),
  );
}

type LeasedBackend = Pick<Backend, 'content' | 'leases' | 'snapshotter'>;

/** Unless the verb has failed, and left something that its lease protects. */
async function dropLease(
  backend: LeasedBackend,
  lease: Lease,
  succeeded: boolean,
  keepPartial: number | undefined,
): Promise<void> {
  const call = { signal: cleanupSignal() };
  const { id } = lease;
  try {
    if (succeeded || !(await hasBrought(backend, lease, call)))
      await ifFound(backend.leases.delete(id, call));
    else await keepFor(backend, lease, keepPartial, call);
  } catch (err) {
    if (!isKind(err, 'NotFound'))
      throw wrap(`Cannot drop the lease ${id}, which ends by itself within a day`, err);
  }
}

/** What a failed verb has brought is protected for so many milliseconds from now on, or (0) not at all. */
async function keepFor(
  { content, leases }: LeasedBackend,
  { id, labels }: Lease,
  keepPartial: number | undefined,
  call: Call,
): Promise<void> {
  const roles = { content, leases };
  if (keepPartial === 0) {
    // What the lease held is of no use from now on.
    await leases.release?.(id, 0, call);
    await endLease(roles, id, call);
  } else if (leases.release !== undefined) await leases.release(id, keepPartial ?? LEASE_LIFETIME, call);
  else if (keepPartial !== undefined) {
    const next = await leases.create({ expiresIn: keepPartial, image: labels[LEASE_IMAGE_LABEL], ...call });
    for (const resource of await leases.resources(id, call)) await leases.add(next.id, resource, call);
    await leases.delete(id, call);
  }
}

/** Both are of use, and no part of the verb: what fails here is tried again after the next verb. */
async function tidyUp(backend: Backend, image: string, report: Report, signal: AbortSignal): Promise<void> {
  const call = { signal: AbortSignal.any([signal, cleanupSignal()]) };
  try {
    for (const id of (await backend.leases.abandoned?.(image, call)) ?? []) await endLease(backend, id, call);
    // Limits itself, where the rest can wait for the next verb.
    await backend.collectWhenDue?.({ signal, tell: (message) => report({ type: 'warning', message }) });
  } catch (err) {
    // The next verb of any process finds the same state. Only the user can mend a wrong policy, or a damaged store.
    if (isKind(err, 'InvalidArgument', 'DataLoss')) report({ type: 'warning', message: withHint(err) });
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

/** The part of a job that unpacking one image needs, with a snapshotter of the backend's by name. `of`: the image, where there is one. */
export function unpackJob(
  { deps, lease, signal, report }: Job<StoreDeps & Pick<TransferDeps, 'together'>>,
  { snapshotter, layerSettings, retry }: Pick<PullOptions, 'snapshotter' | 'layerSettings' | 'retry'>,
  blob: UnpackJob['blob'],
  of?: UnpackJob['of'],
): UnpackJob {
  const { backend, clock, cpus } = deps;
  const { content, leases, applier } = backend;
  const { together } = deps;
  const shared = {
    content,
    leases,
    applier,
    clock,
    cpus,
    lease,
    signal,
    report,
    together,
    stall: retry?.stall,
  };
  return { ...shared, snapshotter: backend.snapshotter(snapshotter), settings: layerSettings, blob, of };
}
