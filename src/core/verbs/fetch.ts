/** The verb `fetch`: an image's content into the store and its record, nothing unpacked (ctr content fetch). */
import type { Labels } from '../content/content-store.ts';
import { type Anew, withSoundBlob } from '../content/heal.ts';
import { readBlob } from '../content/read.ts';
import { type BlobCall, fetchBlob } from '../download/fetch-blob.ts';
import { Link } from '../download/link.ts';
import { HawserError, ifFound, isKind, wrap } from '../errors.ts';
import { sourceLabels } from '../images/gc-labels.ts';
import { CONVERTED_LABEL } from '../images/schema1.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { MAX_CONFIG_BYTES } from '../oci/documents.ts';
import { isSchema1Type } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import { codeOf } from '../registry/failures.ts';
import { remembered } from '../trust/remembered.ts';
import type { Acceptance, Subject } from '../trust/verdict.ts';
import { type SpaceCheck, spaceCheck } from './forecast.ts';
import { passGate } from './gate.ts';
import { type FetchJob, type Job, withJob } from './job.ts';
import { type KeptFrom, keepSignatures } from './keep-signatures.ts';
import type { FetchOptions, FetchResult, StoreDeps, TransferDeps } from './options.ts';
import { isForCri, Recorder } from './record.ts';
import { convertSchema1 } from './schema1.ts';
import { type WalkDeps, type WalkHooks, type WalkOptions, walkImage } from './walk.ts';

/** Resolves, fetches, records. On failure no record is made or moved, and what was fetched is kept for a day. */
export async function fetchImage(deps: TransferDeps, options: FetchOptions): Promise<FetchResult> {
  isForCri(deps.backend, options, options.report);
  return await withJob(deps, options, async (job) => {
    const beforeFetch = spaceCheck(job, false);
    return await withTarget(job, beforeFetch, async (target) => {
      await fetchContent(job, target, blobSource(job), { beforeFetch });
      return await record(job, target);
    });
  });
}

/** The image to be recorded. */
export interface RecordTarget {
  /** The root as the registry has it, or the OCI manifest that an image in an old format was converted to. */
  readonly root: Descriptor;
  /** Digests of the documents that a conversion wrote into the store: the registry does not have them. */
  readonly generated: ReadonlySet<string>;
  /** For the image record. */
  readonly labels: Labels;
  /** Who has accepted the root that the registry has. */
  readonly verified: readonly Acceptance[];
  /** Where the image is judged by what can be kept. */
  readonly signatures?: Omit<KeptFrom, 'bring'> | undefined;
}

/** What is fetched. */
export type FetchTarget = Pick<RecordTarget, 'root' | 'generated'> &
  Partial<Pick<RecordTarget, 'verified' | 'signatures'>>;

/**
 * Resolves the reference, and works on the target. The answer to HEAD is only advice: where the root is then missing or has other
 * bytes, its document is read, and the work begins anew with that.
 */
export async function withTarget<T>(
  job: FetchJob,
  beforeFetch: SpaceCheck,
  work: (target: RecordTarget) => Promise<T>,
): Promise<T> {
  const target = await resolveTarget(job, beforeFetch, false);
  try {
    return await work(target);
  } catch (err) {
    const again = await readTarget(job, beforeFetch, target, err);
    if (again === undefined) throw err;
    return await work(again);
  }
}

/** Undefined: the failure was not about the root, or reading the root fails too. */
async function readTarget(
  job: FetchJob,
  beforeFetch: SpaceCheck,
  { root, generated }: RecordTarget,
  err: unknown,
): Promise<RecordTarget | undefined> {
  const { deps, signal } = job;
  const isOther = isKind(err, 'DataLoss', 'NotFound') || codeOf(err) === 'SHORT';
  if (generated.size > 0 || !isOther) return undefined;
  const stored = await ifFound(deps.backend.content.info(root.digest, { signal }));
  if (stored?.size === root.size) return undefined;
  try {
    return await resolveTarget(job, beforeFetch, true);
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

/** Resolves the reference; asks whether the image may come in; converts an image of schema 1. */
async function resolveTarget(job: FetchJob, beforeFetch: SpaceCheck, read: boolean): Promise<RecordTarget> {
  const root = await resolve(job, read);
  const { options, deps } = job;
  const found = subjectOf(job, root);
  const evidence = remembered(found.evidence);
  const subject = { ...found, evidence };
  const verified = await passGate(deps, options, subject, job);
  const labels = options.labels ?? {};
  // '' removes the label: a name that was of schema 1 before may be it no longer.
  if (!isSchema1Type(root.mediaType))
    return {
      ...{ root, verified, generated: new Set() },
      labels: { [CONVERTED_LABEL]: '', ...labels },
      signatures: { subject, evidence, verified },
    };
  const { config, manifest } = await convertSchema1(job, root, {
    beforeFetch,
    bring: blobSource(job).refetch,
  });
  const generated = new Set([config.digest, manifest.digest]);
  return { root: manifest, verified, generated, labels: { [CONVERTED_LABEL]: root.digest, ...labels } };
}

/** What the gate judges of an image at a registry. */
export function subjectOf({ deps, options }: Pick<FetchJob, 'deps' | 'options'>, root: Descriptor): Subject {
  const { reference, metadataOnly } = options;
  const { platforms } = wantedOf(deps, options);
  const evidence = deps.registry.evidence(reference);
  return { reference, root, platforms: metadataOnly === true ? 'all' : platforms, evidence };
}

/** `read`: by the document itself, where an answer to HEAD would do. */
export async function resolve(
  { deps, options: { reference }, report, signal }: Omit<FetchJob, 'lease'>,
  read = false,
): Promise<Descriptor> {
  report({ type: 'resolving', name: reference.name });
  try {
    const { root } = await deps.registry.resolve(reference, { signal, read });
    report({ type: 'resolved', name: reference.name, root });
    return root;
  } catch (err) {
    throw wrap(`failed to resolve reference "${reference.raw}"`, err);
  }
}

/** The blobs of a job's image, from the store or the registry. */
export interface BlobSource extends Pick<WalkDeps, 'bring' | 'document'> {
  /** Brings a blob for the image's own job. */
  readonly refetch: (desc: Descriptor, call: Anew) => Promise<unknown>;
}

/** A document that has rotted in the store is fetched anew. */
export function blobSource({ deps, options, lease, report }: FetchJob): BlobSource {
  const { clock, registry, together } = deps;
  const { content } = deps.backend;
  const { reference, retry } = options;
  const link = together?.link ?? new Link(clock, options.split);
  const space = deps.backend.space?.bind(deps.backend);
  const blobs = { content, fetcher: registry.fetcher(reference), clock, report, retry, link, space };
  const fetch = (desc: Descriptor, call: BlobCall) => fetchBlob(blobs, desc, call);
  // The place among the downloads is taken last: whoever waits for another transfer's blob holds none.
  const bring = (desc: Descriptor, call: BlobCall) =>
    together === undefined
      ? fetch(desc, call)
      : together.blobs.run(desc.digest, call.signal, () =>
          together.downloads.run(call.signal, () => fetch(desc, call)),
        );
  const refetch = (desc: Descriptor, { anew, signal }: Anew) =>
    bring(desc, { lease, labels: sourceLabels(reference), anew, signal });
  const warn = (message: string) => report({ type: 'warning', message });
  const document = (desc: Descriptor, call: Call) =>
    withSoundBlob({ content, refetch, warn }, desc, call, () =>
      readBlob(content, desc, MAX_CONFIG_BYTES, call),
    );
  return { bring, document, refetch };
}

/** Fetches the wanted part of an image into the store. */
export async function fetchContent(
  job: Job<StoreDeps, FetchOptions>,
  { root, generated, verified, signatures }: FetchTarget,
  { bring, document }: BlobSource,
  hooks: WalkHooks = {},
): Promise<void> {
  const { deps, options, lease, signal, report } = job;
  const { content } = deps.backend;
  const wanted = { ...wantedOf(deps, options), generated, entries: entriesOf(verified) };
  await walkImage({ content, bring, document, report }, root, wanted, { lease, signal, ...hooks });
  if (signatures !== undefined) await keepSignatures(job, { ...signatures, bring });
}

/** What every acceptance lets in of an index that nobody vouches for. Undefined: all that is wanted. */
export function entriesOf(verified: readonly Acceptance[] = []): ReadonlySet<string> | undefined {
  const lists = verified.flatMap(({ entries }) => (entries === undefined ? [] : [entries]));
  const [first, ...others] = lists;
  return first && new Set(first.filter((digest) => others.every((one) => one.includes(digest))));
}

export function wantedOf(
  { hostPlatform, backend }: Pick<StoreDeps, 'hostPlatform' | 'backend'>,
  options: FetchOptions,
): WalkOptions {
  return {
    reference: options.reference,
    platforms: options.platforms ?? [hostPlatform],
    named: options.platforms !== undefined,
    // A layout need not hold the documents of platforms that nobody wants.
    allMetadata:
      options.allMetadata ?? (options.reference.layout === undefined && backend.allMetadata === true),
    metadataOnly: options.metadataOnly ?? false,
    concurrency: options.maxConcurrentDownloads ?? 0,
    generated: new Set(),
  };
}

/** The last step: everything the record points at is in the store and durable. */
export async function record(
  job: FetchJob,
  { root, labels, verified }: Omit<RecordTarget, 'generated'>,
): Promise<FetchResult> {
  if (root.size === 0) throw new HawserError('InvalidArgument', `Cannot record ${root.digest}: it is empty`);
  const target = { mediaType: root.mediaType, digest: root.digest, size: root.size };
  const recorder = new Recorder(job.deps, job.options, job);
  const wanted = { name: job.options.reference.name, target, labels, entries: entriesOf(verified) };
  const { name, also } = await recorder.record(wanted, () => {});
  job.report({ type: 'recorded', name, target: root.digest });
  return {
    name,
    target,
    ...(also.length === 0 ? {} : { also }),
    ...(verified.length === 0 ? {} : { verified }),
  };
}
