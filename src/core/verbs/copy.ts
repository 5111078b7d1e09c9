/** The verb `copy`: an image from a registry, or out of a layout, to a registry, through no store (crane copy, skopeo copy). */
import { readBlob } from '../content/read.ts';
import { fromRecord, HawserError, hintOf, ifFound, toRecord } from '../errors.ts';
import { sourceLabels } from '../images/gc-labels.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { childrenOf, MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { isDocumentType } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { Hashers } from '../ports/hashers.ts';
import { type Cargo, pushImage } from '../push/push-image.ts';
import type { Document } from '../push/put-manifest.ts';
import type { Reference } from '../reference/reference.ts';
import type { Registry } from '../registry/registry.ts';
import type { Acceptance } from '../trust/verdict.ts';
import { CopySource } from './copy-source.ts';
import { entriesOf } from './fetch.ts';
import type { GateOptions } from './gate.ts';
import { judgeImage } from './judge.ts';
import type { FetchResult, VerbOptions } from './options.ts';
import { type Pushes, pushesTogether, type SendOptions } from './push.ts';
import { type CargoOptions, loadCargo } from './push-cargo.ts';
import { requireVouched } from './require-vouched.ts';
import { openStrangerCheck, type ReadDocument } from './strangers.ts';

export interface CopyDeps {
  /** Reads. */
  readonly source: Registry;
  /** Writes. */
  readonly registry: Registry;
  readonly clock: Clock;
  readonly hashers: Hashers;
  /** Undefined: this is the only copy. */
  readonly pushes?: Pushes | undefined;
}

export interface CopyOptions extends VerbOptions, CargoOptions, SendOptions, GateOptions {
  readonly from: Reference;
  /** What the image is called where it goes to. */
  readonly to: Reference;
  /** Copies along what the source lists as referring to the image: signatures, SBOMs. */
  readonly referrers?: boolean | undefined;
}

/** A signature of an SBOM of an image is found, and no more than that. */
const MAX_STEPS = 3;
/** More is refused: a list of a registry is somebody else's. */
const MAX_REFERRERS = 1000;

/**
 * Copies, once those who are asked let the source's image in: every byte is verified on its way, what the other registry has is not asked of the source, and where both are one registry the blobs
 * are mounted. The tag moves last.
 */
export async function copy(deps: CopyDeps, options: CopyOptions): Promise<FetchResult> {
  const { from, to, retry, chunkSize, report = () => {} } = options;
  const { signal = new AbortController().signal } = options;
  const { source, registry, clock, hashers, pushes = pushesTogether(options) } = deps;
  const call = { signal };
  report({ type: 'resolving', name: from.name });
  const { root } = await resolveSource(source, from, to, call);
  const verified = await judgedBy(source, { ...options, report, signal }, root);
  const content = new CopySource({ fetcher: source.fetcher(from), clock, hashers, report, retry });
  content.know(root);
  const warn = (message: string) => report({ type: 'warning', message });
  const loading = { content, hashers, warn };
  // What a layout lacks was left out on purpose, and is told.
  const every = from.layout === undefined ? 'all' : 'present';
  const what = { ...options, platforms: options.platforms ?? every };
  const { target, cargo: bare } = await loadCargo(loading, { target: root }, to, what, 'copy', call);
  const read: ReadDocument = async (desc, call) => {
    content.know(desc);
    return isDocumentType(desc.mediaType)
      ? await content.document(desc, call)
      : await readBlob(content, desc, MAX_MANIFEST_BYTES, call);
  };
  const isStrange = await openStrangerCheck(read, [{ target: root, verified }], call);
  const finding = { ...deps, read, warn, from, isStrange };
  const cargo = options.referrers ? await withReferrers(finding, bare, root, call) : bare;
  const entries = entriesOf(verified);
  if (entries !== undefined) requireVouched(bare, entries, from);
  report({ type: 'resolved', name: to.name, root: target });
  const lent = isOneRegistry(from, to) ? sourceLabels(from) : {};
  const writer = await registry.writer(to, call);
  const sending = { writer, content, labels: async () => lent, clock, hashers, report, retry, chunkSize };
  await pushImage({ ...sending, ...pushes }, cargo, to.tag ?? target.digest, call);
  report({ type: 'pushed', name: to.name, target: target.digest });
  return { name: to.name, target, ...(verified.length === 0 ? {} : { verified }) };
}

/** What goes along has to be vouched for; what a layout lacks, too, as others may take that of the index. */
async function judgedBy(
  source: Registry,
  options: CopyOptions,
  root: Descriptor,
): Promise<readonly Acceptance[]> {
  const { from: reference, platforms: wanted = 'all' } = options;
  const platforms = wanted === 'present' ? 'all' : wanted;
  return (await judgeImage(source, { ...options, reference, root, platforms })).verified;
}

const OF_SOURCE =
  'The registry of the source is asked as hosts.toml says (--hosts-dir: its ca, skip_verify, or an http:// server), with the credentials of docker login';

/** The flags that a hint names would act on the target's registry, and send a password there. */
async function resolveSource(source: Registry, from: Reference, to: Reference, { signal }: Call) {
  try {
    return await source.resolve(from, { signal, read: true });
  } catch (err) {
    const names = /--(?:plain-http|skip-verify|tls|user)/.test(hintOf(err) ?? '');
    if (!names || isOneRegistry(from, to)) throw err;
    throw fromRecord({ ...toRecord(err), hint: OF_SOURCE });
  }
}

/** What holds for the registry of `to` holds for that of `from`, too. */
export function isOneRegistry(from: Reference, to: Reference): boolean {
  return from.layout === undefined && from.host === to.host;
}

interface Finding extends Pick<CopyDeps, 'source'> {
  readonly from: Reference;
  readonly read: ReadDocument;
  /** Whether a document leads to what may not go on. */
  readonly isStrange: (desc: Descriptor, call: Call) => Promise<boolean>;
  readonly warn: (message: string) => void;
}

async function withReferrers(
  { source, from, read, isStrange, warn }: Finding,
  cargo: Cargo,
  root: Descriptor,
  call: Call,
): Promise<Cargo> {
  if (from.layout !== undefined)
    throw new HawserError('NotImplemented', 'Cannot copy what refers to an image of a layout', {
      hint: 'Bring the layout into the store, and push it: hawser import DIR, then hawser push --referrers REMOTE LOCAL',
    });
  const referrers = new Map<string, Document>();
  const blobs = [...cargo.blobs];
  let subjects: Descriptor[] = [root, cargo.root.desc, ...cargo.documents.map(({ desc }) => desc)];
  for (let step = 0; step < MAX_STEPS; step++) {
    const listed = await referrersOf(source, from, subjects, call);
    const fresh = listed.filter(({ digest }) => !referrers.has(digest));
    subjects = [];
    for (const desc of fresh) {
      if (referrers.size >= MAX_REFERRERS) throw tooMany(from);
      if (await isStrange(desc, call)) {
        warn(`Left out the referrer ${desc.digest}: nobody vouches for what it is, or leads to`);
        continue;
      }
      subjects.push(desc);
      const bytes = await read(desc, call);
      referrers.set(desc.digest, { desc, bytes });
      blobs.push(...childrenOf(bytes, desc).filter(({ mediaType }) => !isDocumentType(mediaType)));
    }
  }
  const once = new Map(blobs.map((desc) => [desc.digest, desc]));
  return { ...cargo, blobs: [...once.values()], referrers: [...referrers.values()] };
}

/** The documents that refer to one of the subjects, each once. */
async function referrersOf(
  registry: Registry,
  from: Reference,
  subjects: readonly Descriptor[],
  call: Call,
): Promise<Descriptor[]> {
  const found = new Map<string, Descriptor>();
  const { host, repository } = from;
  for (const digest of new Set(subjects.map((one) => one.digest))) {
    const subject = { ...from, name: `${host}/${repository}@${digest}`, tag: undefined, digest };
    const list = await ifFound(registry.referrers(subject, call));
    for (const desc of list?.referrers ?? [])
      if (isDocumentType(desc.mediaType)) found.set(desc.digest, desc);
  }
  return [...found.values()];
}

function tooMany({ name }: Reference): HawserError {
  return new HawserError('ResourceExhausted', `More than ${MAX_REFERRERS} documents refer to ${name}`, {
    hint: 'Leave --referrers away, and copy those that you want by their digests',
  });
}
