/** The verb `fetch`: an image's content into the store and its record, nothing unpacked (ctr content fetch). */

import { cleanupSignal } from '../async/abort.ts';
import type { Backend } from '../backend.ts';
import type { Labels } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { type BlobCall, fetchBlob } from '../download/fetch-blob.ts';
import { Link } from '../download/link.ts';
import { HawserError, ifFound, isKind, messageOf, wrap } from '../errors.ts';
import { CONVERTED_LABEL } from '../images/schema1.ts';
import type { Lease } from '../leases/lease-store.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { MAX_CONFIG_BYTES } from '../oci/documents.ts';
import { isSchema1Type } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { Codecs } from '../ports/codecs.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { Report } from '../progress/events.ts';
import type { Registry } from '../registry/registry.ts';
import type { FetchOptions, FetchResult } from './options.ts';
import { convertSchema1 } from './schema1.ts';
import { type WalkOptions, walkImage } from './walk.ts';

export interface TransferDeps {
  readonly backend: Backend;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly hashers: Hashers;
  readonly codecs: Codecs;
  readonly hostPlatform: Platform;
  /** Processors. */
  readonly cpus: number;
}

/** What an interrupted transfer fetched is kept this long for the next, in milliseconds. */
const LEASE_LIFETIME = 24 * 3600 * 1000;

/** Resolves, fetches, records. On failure no record is made or moved, and what was fetched is kept for a day. */
export async function fetchImage(deps: TransferDeps, options: FetchOptions): Promise<FetchResult> {
  return await withLease(deps.backend, options, async (lease, signal) => {
    const target = await resolveTarget(deps, options, { lease, signal });
    await walk(deps, options, target, { lease, signal });
    return await record(deps, options, target, { lease, signal });
  });
}

/** What is to be recorded: the root that the registry has, or what was made of one in an old format. */
export interface RecordTarget {
  readonly root: Descriptor;
  /** Digests that the registry does not have: made here, in the store already. */
  readonly made: ReadonlySet<string>;
  /** For the image record. */
  readonly labels: Labels;
}

/** Resolves; schema 1 is converted. */
export async function resolveTarget(
  deps: TransferDeps,
  options: FetchOptions,
  call: { lease: string; signal: AbortSignal },
): Promise<RecordTarget> {
  const root = await resolve(deps, options, call.signal);
  const labels = options.labels ?? {};
  // A name that was of schema 1 before is it no longer: '' removes the label.
  if (!isSchema1Type(root.mediaType))
    return { root, made: new Set(), labels: { [CONVERTED_LABEL]: '', ...labels } };
  const { config, manifest } = await convertSchema1(deps, options, root, call);
  const made = new Set([config.digest, manifest.digest]);
  return { root: manifest, made, labels: { [CONVERTED_LABEL]: root.digest, ...labels } };
}

/** Runs `work` under a lease that is dropped when it succeeds; otherwise it protects what was fetched until it expires. */
export async function withLease<T>(
  backend: Backend,
  options: Call,
  work: (lease: string, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const signal = options.signal ?? new AbortController().signal;
  signal.throwIfAborted();
  const lease: Lease = await backend.leases.create({ expiresIn: LEASE_LIFETIME, signal });
  try {
    const result = await work(lease.id, signal);
    await backend.leases.delete(lease.id, { signal: cleanupSignal() });
    return result;
  } catch (err) {
    await dropIfEmpty(backend, lease.id);
    throw err;
  }
}

async function dropIfEmpty(backend: Backend, id: string): Promise<void> {
  const call = { signal: cleanupSignal() };
  try {
    if ((await backend.leases.resources(id, call)).length === 0) await backend.leases.delete(id, call);
  } catch (err) {
    if (!isKind(err, 'NotFound', 'Unavailable', 'ResourceExhausted')) throw err;
  }
}

export async function resolve(
  deps: TransferDeps,
  options: FetchOptions,
  signal: AbortSignal,
): Promise<Descriptor> {
  const { reference } = options;
  const report: Report = options.report ?? (() => {});
  report({ type: 'resolving', name: reference.name });
  try {
    const { root } = await deps.registry.resolve(reference, { signal });
    report({ type: 'resolved', name: reference.name, root });
    return root;
  } catch (err) {
    throw wrap(`failed to resolve reference "${reference.raw}"`, err);
  }
}

type Hooks = Pick<WalkOptions, 'onManifest' | 'onBlob'>;

export async function walk(
  deps: TransferDeps,
  options: FetchOptions,
  { root, made }: Pick<RecordTarget, 'root' | 'made'>,
  call: { lease: string; signal: AbortSignal } & Hooks,
): Promise<void> {
  const { reference, retry, report = () => {} } = options;
  const { clock, backend, registry } = deps;
  const { content } = backend;
  const link = new Link(clock, options.split);
  const blobs = { content, fetcher: registry.fetcher(reference), clock, report, retry, link };
  const bring = async (desc: Descriptor, call: BlobCall) => await fetchBlob(blobs, desc, call);
  const document = (desc: Descriptor, call: Call) => readBlob(content, desc, MAX_CONFIG_BYTES, call);
  await walkImage({ content, bring, document, report }, root, {
    ...walkOptions(deps, options),
    ...call,
    made,
  });
}

/** What of an image is wanted. */
export function walkOptions(
  deps: Pick<TransferDeps, 'hostPlatform'>,
  options: FetchOptions,
): Pick<WalkOptions, 'reference' | 'platforms' | 'named' | 'allMetadata' | 'metadataOnly' | 'concurrency'> {
  return {
    reference: options.reference,
    platforms: options.platforms ?? [deps.hostPlatform],
    named: options.platforms !== undefined,
    allMetadata: options.allMetadata ?? false,
    metadataOnly: options.metadataOnly ?? false,
    concurrency: options.maxConcurrentDownloads ?? 0,
  };
}

/** The last step: everything the record points at is in the store and durable. */
export async function record(
  deps: TransferDeps,
  options: FetchOptions,
  { root, labels }: Pick<RecordTarget, 'root' | 'labels'>,
  call: { lease: string; signal: AbortSignal },
): Promise<FetchResult> {
  if (root.size === 0) throw new HawserError('InvalidArgument', `Cannot record ${root.digest}: it is empty`);
  const target = { mediaType: root.mediaType, digest: root.digest, size: root.size };
  const { name } = options.reference;
  const { images } = deps.backend;
  const before = await ifFound(images.get(name, call));
  await images.put(name, target, labels, call);
  options.report?.({ type: 'recorded', name, target: root.digest });
  if (before !== undefined && before.target.digest !== root.digest) await dropReplaced(deps, options);
  return { name, target };
}

/** The name has moved on: what it named before goes, unless something else needs it. Failing at that fails nothing. */
async function dropReplaced({ backend }: TransferDeps, options: FetchOptions): Promise<void> {
  try {
    await backend.collect({ signal: options.signal });
  } catch (err) {
    const message = `Cannot remove what the image named before: ${messageOf(err)}`;
    options.report?.({ type: 'warning', message });
  }
}
