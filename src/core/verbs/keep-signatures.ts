/** Keeps the signatures of an image in the store: those that let the image in, or all that are found. What keeps the image keeps them. */
import { attachmentsOf, subjectLabel } from '../carry/referrers.ts';
import type { Labels } from '../content/content-store.ts';
import { HawserError, ifFound, messageOf } from '../errors.ts';
import { childLabels, sourceLabelKey, sourceLabels } from '../images/gc-labels.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { parseManifest } from '../oci/documents.ts';
import { isIndexType, isManifestType } from '../oci/media-types.ts';
import { attachmentKind, attachmentTag, BUNDLE_TYPE } from '../oci/signatures.ts';
import type { Call } from '../ports/call.ts';
import type { Reference } from '../reference/reference.ts';
import { MAX_BUNDLE, MAX_BUNDLES, MAX_MANIFEST, MAX_SIGNATURES } from '../trust/candidates.ts';
import type { Evidence } from '../trust/evidence.ts';
import { instancesOf } from '../trust/instances.ts';
import type { RememberedEvidence } from '../trust/remembered.ts';
import type { Acceptance, Subject } from '../trust/verdict.ts';
import type { Job } from './job.ts';
import type { FetchOptions, StoreDeps } from './options.ts';
import type { WalkDeps } from './walk.ts';

type KeepingJob = Job<StoreDeps, FetchOptions>;

/** Where the signatures of an image are, and who has accepted the image by them. */
export interface KeptFrom {
  /** Brings a blob whose bytes are at hand. */
  readonly bring: WalkDeps['bring'];
  readonly subject: Subject;
  readonly evidence: RememberedEvidence;
  readonly verified: readonly Acceptance[];
}

/** A manifest that holds signatures of `subject`. */
interface Found {
  readonly subject: Digest;
  readonly desc: Descriptor;
}

/**
 * Keeps what vouched for the image; `options.signatures`: all signatures of what is wanted. An image that came in by its signatures is
 * recorded though they cannot be kept, which is told; where the user asked for them, the failure is thrown.
 */
export async function keepSignatures(job: KeepingJob, from: KeptFrom): Promise<void> {
  const { options, report, signal } = job;
  const call = { signal };
  try {
    for (const found of vouching(from)) await keep(job, from, found, call);
    if (options.signatures !== true) return;
    for (const found of await allOf(from, from.subject.root, call)) await keep(job, from, found, call);
  } catch (err) {
    signal.throwIfAborted();
    if (options.signatures === true) throw err;
    report({
      type: 'warning',
      message: `The signatures of ${options.reference.name} were checked, but are not kept: ${messageOf(err)}`,
    });
  }
}

/** The manifests that the vouchers are from, each once. Of programs that were asked nothing is known. */
function vouching({ verified, evidence }: KeptFrom): readonly Found[] {
  const found = new Map<string, Found>();
  for (const { digest, document } of verified.flatMap(({ vouchers }) => vouchers)) {
    const desc = document === undefined ? undefined : evidence.met(document);
    if (desc !== undefined) found.set(`${digest} ${desc.digest}`, { subject: digest, desc });
  }
  return [...found.values()];
}

/** Those of the root, and where the root is an index, of the entries that are wanted. */
async function allOf({ evidence, subject }: KeptFrom, root: Descriptor, call: Call): Promise<Found[]> {
  const found: Found[] = [];
  const seen = new Set<string>();
  for (const open = [root]; open.length > 0; ) {
    const desc = open.pop();
    if (desc === undefined || seen.has(desc.digest)) continue;
    seen.add(desc.digest);
    found.push(...(await signaturesOf(evidence, desc.digest, call)));
    if (isIndexType(desc.mediaType)) open.push(...(await instancesOf({ ...subject, evidence }, desc, call)));
  }
  return found;
}

async function signaturesOf(evidence: Evidence, subject: Digest, call: Call): Promise<Found[]> {
  const attached = await evidence.tagged(attachmentTag(subject, 'sig'), MAX_MANIFEST, call);
  const bundles = await evidence.referrers(subject, BUNDLE_TYPE, call);
  if (bundles.length > MAX_BUNDLES) throw tooMany(bundles.length, 'bundles', MAX_BUNDLES);
  return [...attached.map(({ desc }) => desc), ...bundles].map((desc) => ({ subject, desc }));
}

/** Brings one manifest with its blobs, and ties it to its subject. A subject that is not here is not wanted. */
async function keep(
  job: KeepingJob,
  from: KeptFrom,
  { subject, desc: { mediaType, digest, size } }: Found,
  call: Call,
): Promise<void> {
  const { options } = job;
  const { evidence } = from;
  const { content } = job.deps.backend;
  if ((await ifFound(content.info(subject, call))) === undefined || !isManifestType(mediaType)) return;
  const desc = { mediaType, digest, size };
  const bytes = await evidence.read(desc, MAX_MANIFEST, call);
  const manifest = parseManifest(bytes, desc);
  const { config, layers } = manifest;
  if (layers.length > MAX_SIGNATURES) throw tooMany(layers.length, 'signatures', MAX_SIGNATURES);
  const children = [config, ...layers];
  for (const child of children) await bringSound(job, from, child, () => blobOf(evidence, child, call));
  await bringSound(job, from, desc, async () => bytes);
  const before = (await content.info(digest, call)).labels;
  await content.label(digest, { ...childLabels(children), ...sourceLabels(options.reference, before) }, call);
  const isTagged = attachmentKind(manifest) !== undefined;
  const stale = isTagged ? await staleLabels(content, subject, options.reference, call) : {};
  await content.label(subject, { ...stale, ...subjectLabel(subject, desc) }, call);
}

/** Into the store, or, where the store has the blob, under the lease; a damaged one is replaced. `bytes`: asked for only where they are needed. */
async function bringSound(
  { deps, options, lease, signal }: KeepingJob,
  { bring }: KeptFrom,
  { mediaType, digest, size }: Descriptor,
  bytes: () => Promise<Uint8Array>,
): Promise<void> {
  const isSound = await ifFound(deps.backend.content.verify(digest, { signal }));
  const call = { lease, labels: sourceLabels(options.reference), anew: isSound === false, signal };
  const desc = { mediaType, digest, size };
  await bring(isSound === true ? desc : { ...desc, data: await bytes() }, call);
}

/** The empty config of artifacts needs no request. */
async function blobOf(evidence: Evidence, desc: Descriptor, call: Call): Promise<Uint8Array> {
  const { data, digest, size } = desc;
  if (digest === EMPTY_OBJECT && size === 2) return new TextEncoder().encode('{}');
  return data !== undefined && data.length === size ? data : await evidence.read(desc, MAX_BUNDLE, call);
}

/** image-spec manifest.md, "Guidance for an Empty Descriptor". */
const EMPTY_OBJECT = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';

/** The labels that tie what was at cosign's tag of this repository before, and of no other, to go: the tag has moved on. */
async function staleLabels(
  content: Content,
  subject: Digest,
  reference: Reference,
  call: Call,
): Promise<Labels> {
  const { labels } = await content.info(subject, call);
  const stale: Record<string, string> = {};
  // A damaged one keeps its label.
  for (const { desc } of (await ifFound(attachmentsOf(content, subject, call), 'DataLoss')) ?? []) {
    if (!(await isOnlyFrom(content, desc.digest, reference, call))) continue;
    for (const [key, value] of Object.entries(labels)) if (value === desc.digest) stale[key] = '';
  }
  return stale;
}

type Content = StoreDeps['backend']['content'];

const SOURCE = sourceLabelKey('');

async function isOnlyFrom(
  content: Content,
  digest: Digest,
  { host, repository }: Reference,
  call: Call,
): Promise<boolean> {
  const { labels } = await content.info(digest, call);
  const sources = Object.entries(labels).filter(([key]) => key.startsWith(SOURCE));
  const isOurs = ([key, value]: readonly [string, string]) =>
    key === sourceLabelKey(host) && value === repository;
  return sources.length > 0 && sources.every(isOurs);
}

function tooMany(count: number, what: string, limit: number): HawserError {
  return new HawserError('ResourceExhausted', `there are ${count} ${what}, more than ${limit}`);
}
