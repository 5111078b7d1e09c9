/** Keeps the signatures of an image in the store: those that let the image in, or all that are found. What keeps the image keeps them. */
import { attachmentsOf, subjectLabel } from '../carry/referrers.ts';
import type { Labels } from '../content/content-store.ts';
import { ifFound, isKind, messageOf } from '../errors.ts';
import { childLabels, sourceLabelKey, sourceLabels } from '../images/gc-labels.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { isIndexType, isManifestType } from '../oci/media-types.ts';
import { parseReferrer } from '../oci/referrer.ts';
import { attachmentKind, attachmentTag, BUNDLE_TYPE, isSignature } from '../oci/signatures.ts';
import type { Call } from '../ports/call.ts';
import type { Reference } from '../reference/reference.ts';
import { isFailureToLook, MAX_ASKED, MAX_BUNDLES, MAX_MANIFEST } from '../trust/candidates.ts';
import type { Evidence } from '../trust/evidence.ts';
import { instancesOf } from '../trust/instances.ts';
import type { RememberedEvidence } from '../trust/remembered.ts';
import type { Acceptance, Subject } from '../trust/verdict.ts';
import type { Job } from './job.ts';
import type { FetchOptions, StoreDeps } from './options.ts';
import { type Found, listedBy, readSignatures, type SignatureDocument } from './signature-document.ts';
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

/**
 * Keeps what vouched for the image; `options.signatures`: all signatures of what is wanted. One that cannot be kept is told, and the
 * others are kept; a registry that does not answer is a failure where the user asked for all.
 */
export async function keepSignatures(job: KeepingJob, from: KeptFrom): Promise<void> {
  const { options, report, signal } = job;
  const call = { signal };
  const vouched = vouching(from);
  if (vouched.length === 0 && options.signatures !== true) return;
  try {
    const listed = await listedBy(job.deps.backend.content, from.subject.root, call);
    const keeper: Keeper = { ...from, job, listed };
    for (const found of vouched) await keepOne(keeper, found, 'were checked, but are not kept', call);
    if (options.signatures === true) await keepAll(keeper, from.subject.root, call);
  } catch (err) {
    signal.throwIfAborted();
    if (options.signatures === true) throw err;
    report({
      type: 'warning',
      message: `The signatures of ${options.reference.name} were checked, but are not kept: ${messageOf(err)}`,
    });
  }
}

interface Keeper extends KeptFrom {
  readonly job: KeepingJob;
  /** Digests that the image's indexes list. */
  readonly listed: ReadonlySet<string>;
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
async function keepAll(keeper: Keeper, root: Descriptor, call: Call): Promise<void> {
  const { evidence, subject } = keeper;
  const seen = new Set<string>();
  for (const open = [root]; open.length > 0; ) {
    const desc = open.pop();
    if (desc === undefined || seen.has(desc.digest)) continue;
    seen.add(desc.digest);
    const tag = attachmentTag(desc.digest, 'sig');
    const attached = await skipping(keeper, 'are not all kept', () =>
      evidence.tagged(tag, MAX_MANIFEST, call),
    );
    for (const one of attached ?? [])
      await keepOne(keeper, { subject: desc.digest, desc: one.desc }, 'are not all kept', call);
    await keepBundles(keeper, desc.digest, call);
    if (isIndexType(desc.mediaType)) open.push(...(await instancesOf({ ...subject, evidence }, desc, call)));
  }
}

/** Of what a list does not say its purpose, the document tells. As many are kept as a judge looks at. */
async function keepBundles(keeper: Keeper, subject: Digest, call: Call): Promise<void> {
  const { evidence, job } = keeper;
  const listed = await skipping(keeper, 'are not all kept', () =>
    evidence.referrers(subject, BUNDLE_TYPE, call),
  );
  const bundles = (listed ?? []).filter(isSignature);
  let kept = 0;
  for (const [at, desc] of bundles.entries()) {
    if (kept === MAX_BUNDLES || at === MAX_ASKED) {
      const message = `There are ${bundles.length} bundles about ${subject}: only ${kept} signatures are kept`;
      job.report({ type: 'warning', message });
      return;
    }
    if (await keepOne(keeper, { subject, desc }, 'are not all kept', call, isSignature)) kept++;
  }
}

/** Whether the document was kept. What cannot be kept for what it is, and not for the state of a registry or the store, is told. */
async function keepOne(
  keeper: Keeper,
  found: Found,
  state: string,
  call: Call,
  isWanted: (desc: Descriptor) => boolean = () => true,
): Promise<boolean> {
  const { content } = keeper.job.deps.backend;
  // A subject that is not here is not wanted.
  if (!(await isHere(content, found.subject, call))) return false;
  const document = await skipping(keeper, state, async () => {
    const { evidence, listed } = keeper;
    const { desc } = found;
    const bytes = isManifestType(desc.mediaType) ? await evidence.read(desc, MAX_MANIFEST, call) : undefined;
    const parsed = bytes && parseReferrer(bytes, desc);
    if (parsed !== undefined && !isWanted({ ...desc, ...parsed })) return undefined;
    return await readSignatures({ content, evidence, listed }, found, call);
  });
  if (document !== undefined) await keep(keeper, found, document, call);
  return document !== undefined;
}

/** Undefined for what cannot be kept, which is told. */
async function skipping<T>(
  { job: { options, report, signal } }: Keeper,
  state: string,
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read();
  } catch (err) {
    signal.throwIfAborted();
    if (isFailureToLook(err) && !isKind(err, 'NotFound')) throw err;
    const message = `The signatures of ${options.reference.name} ${state}: ${messageOf(err)}`;
    report({ type: 'warning', message });
    return undefined;
  }
}

/** Brings one document with its blobs, and ties it to its subject. */
async function keep(
  { job, bring, evidence }: Keeper,
  { subject, desc: { mediaType, digest, size } }: Found,
  { manifest, bytes, children }: SignatureDocument,
  call: Call,
): Promise<void> {
  const { options, lease } = job;
  const { content } = job.deps.backend;
  const desc = { mediaType, digest, size };
  const isSound = await ifFound(content.verify(digest, call));
  for (const one of [...children, { desc, bytes: isSound === true ? undefined : bytes }]) {
    // What the store has comes under the lease; a damaged one is replaced.
    const blob = { mediaType: one.desc.mediaType, digest: one.desc.digest, size: one.desc.size };
    const how = { lease, labels: sourceLabels(options.reference), signal: job.signal };
    if (one.bytes === undefined) await bring(blob, how);
    else
      await bring({ ...blob, data: one.bytes }, { ...how, anew: await isHere(content, blob.digest, call) });
  }
  const before = (await content.info(digest, call)).labels;
  const labels = childLabels(children.map((child) => child.desc));
  await content.label(digest, { ...labels, ...sourceLabels(options.reference, before) }, call);
  const isTagged = attachmentKind(manifest) === 'sig';
  const stale = isTagged ? await staleLabels({ content, evidence }, subject, options.reference, call) : {};
  await content.label(subject, { ...stale, ...subjectLabel(subject, desc) }, call);
}

async function isHere(content: Content, digest: Digest, call: Call): Promise<boolean> {
  return (await ifFound(content.info(digest, call))) !== undefined;
}

/** The labels that tie what was at cosign's tag of this repository before, and of no other, to go: the tag has moved on. */
async function staleLabels(
  { content, evidence }: { readonly content: Content; readonly evidence: Evidence },
  subject: Digest,
  reference: Reference,
  call: Call,
): Promise<Labels> {
  const { labels } = await content.info(subject, call);
  const stale: Record<string, string> = {};
  const tagged = await evidence.tagged(attachmentTag(subject, 'sig'), MAX_MANIFEST, call);
  const now = new Set<string>(tagged.map(({ desc }) => desc.digest));
  // A damaged one keeps its label.
  for (const { desc, kind } of await attachmentsOf(content, subject, call)) {
    if (kind !== 'sig' || now.has(desc.digest)) continue;
    if (!(await isOnlyFrom(content, desc.digest, reference, call))) continue;
    // The label of a referrer alone: the image may list the document, too.
    for (const key of Object.keys(subjectLabel(subject, desc)))
      if (labels[key] === desc.digest) stale[key] = '';
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
