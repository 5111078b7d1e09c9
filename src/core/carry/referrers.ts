/**
 * What is about an image (signatures, SBOMs): found in a store, and told in the index of a layout as containerd tells it. What cosign
 * keeps at tags names no subject: a label of the subject does.
 */
import type { ContentStore, Labels } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { ifFound, isKind, messageOf } from '../errors.ts';
import { childLabels, PREFIX, referrersIn, SUBJECT } from '../images/gc-labels.ts';
import type { ImageStore } from '../images/image-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { documentType, MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { parseReferrer } from '../oci/referrer.ts';
import {
  type AttachmentKind,
  attachmentIn,
  attachmentType,
  isSignature,
  parseAttachmentTag,
} from '../oci/signatures.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';

export interface Referrer {
  /** With the annotation that names the subject. */
  readonly desc: Descriptor;
  readonly subject: Digest;
  /** Of what cosign keeps at a tag. */
  readonly kind?: AttachmentKind | undefined;
  /** Whether the document is a signature, as far as types tell. Undefined: the document was not read. */
  readonly signs?: boolean | undefined;
  /** The document's own. */
  readonly annotations?: Descriptor['annotations'];
}

/** A store whose documents are read. */
export type ReferrerContent = Pick<ContentStore, 'info' | 'list' | 'open'>;

/** A signature of an SBOM of an image is found, and no more than that. */
const MAX_STEPS = 3;

interface TellingCall extends Call {
  /** Told of each document that is left out, as its bytes are damaged. */
  readonly damaged?: ((err: unknown) => void) | undefined;
}

/** `signaturesOnly`: other documents need not be read, and are not found. */
export interface ReferrerSearch extends TellingCall {
  readonly signaturesOnly: boolean;
}

/**
 * All that refers to one of `subjects`, or to what does, and what labels tie to them, but for the subjects themselves. Of all blobs, those that
 * refer to others are read.
 */
export async function findReferrers(
  content: ReferrerContent,
  subjects: Iterable<Digest>,
  { signaturesOnly, damaged, ...call }: ReferrerSearch,
): Promise<Referrer[]> {
  const all = await referrersHere(content, { signaturesOnly, ...call });
  const own = new Set<string>(subjects);
  const known = new Set<string>();
  // One document may be about several.
  const found = new Map<string, Referrer>();
  let fresh = [...new Set(subjects)];
  for (let step = 0; step < MAX_STEPS && fresh.length > 0; step++) {
    const about = new Set<string>(fresh);
    for (const subject of fresh) known.add(subject);
    const next = all.filter(({ subject }) => about.has(subject));
    for (const subject of fresh) next.push(...(await attachmentsOf(content, subject, { damaged, ...call })));
    for (const one of next)
      if (!own.has(one.desc.digest)) found.set(`${one.subject} ${one.desc.digest}`, one);
    fresh = [...new Set(next.map(({ desc }) => desc.digest))].filter((digest) => !known.has(digest));
  }
  return [...found.values()];
}

/** What labels of a document name, and what names no subject itself: cosign's signatures and attestations. A damaged one is left out. */
export async function attachmentsOf(
  content: Pick<ReferrerContent, 'info' | 'open'>,
  subject: Digest,
  { damaged, ...call }: TellingCall,
): Promise<Referrer[]> {
  const labelled = await ifFound(content.info(subject, call));
  const found: Referrer[] = [];
  for (const digest of referrersIn(labelled?.labels ?? {})
    .filter(isDigest)
    .sort()) {
    const info = await ifFound(content.info(digest, call));
    if (info === undefined || info.size > MAX_MANIFEST_BYTES) continue;
    const bytes = await readSound(content, info, { damaged, ...call });
    const attachment = bytes && attachmentTo(subject, bytes, digest);
    if (attachment !== undefined) found.push(attachment);
  }
  return found;
}

/** What images of a store are that have one of cosign's tags for a name: somebody has fetched them so. A damaged one is left out. */
export async function namedAttachments(
  { content, images }: { readonly content: ReferrerContent; readonly images: Pick<ImageStore, 'list'> },
  subjects: ReadonlySet<string>,
  { damaged, ...call }: TellingCall,
): Promise<Referrer[]> {
  const found: Referrer[] = [];
  for (const { name, target } of await images.list(call)) {
    const subject = parseAttachmentTag(name.split(':').at(-1) ?? '')?.subject;
    if (subject === undefined || !subjects.has(subject) || target.size > MAX_MANIFEST_BYTES) continue;
    const bytes = await readSound(content, target, { damaged, ...call });
    const attachment = bytes && attachmentTo(subject, bytes, target.digest);
    if (attachment !== undefined) found.push(attachment);
  }
  return found;
}

/** Undefined for what is not here, and for damaged bytes. */
async function readSound(
  content: Pick<ReferrerContent, 'open'>,
  desc: Pick<Descriptor, 'digest' | 'size'>,
  { damaged, ...call }: TellingCall,
): Promise<Uint8Array | undefined> {
  try {
    return await ifFound(readBlob(content, desc, MAX_MANIFEST_BYTES, call));
  } catch (err) {
    if (!isKind(err, 'DataLoss')) throw err;
    damaged?.(err);
    return undefined;
  }
}

/** Every document of a store that names a subject. */
export async function referrersHere(
  content: ReferrerContent,
  { signaturesOnly, ...call }: ReferrerSearch,
): Promise<Referrer[]> {
  const found: Referrer[] = [];
  for (const { digest, size, labels } of await content.list(call)) {
    call.signal?.throwIfAborted();
    const keys = Object.keys(labels);
    const refers = keys.some((key) => key.startsWith(PREFIX));
    if (!refers || size > MAX_MANIFEST_BYTES || (signaturesOnly && keys.some(isOfImage))) continue;
    const bytes = await ifFound(readBlob(content, { digest, size }, MAX_MANIFEST_BYTES, call), 'DataLoss');
    const referrer = bytes && referrerOf(bytes, digest);
    if (referrer !== undefined) found.push(referrer);
  }
  return found;
}

export interface BringingReferrers {
  readonly content: Pick<ContentStore, 'info' | 'label'>;
  /** The bytes of a document of the archive. */
  readonly read: (desc: Descriptor, call: Call) => Promise<Uint8Array>;
  readonly report: Report;
  /** Digests of the manifests and indexes of the images that the archive brings, to a name of an image of theirs; undefined: several repositories have the document. */
  readonly documents: ReadonlyMap<string, string | undefined>;
  /** Whether a document leads to what may not come in. */
  readonly isStrange: (desc: Descriptor, call: Call) => Promise<boolean>;
}

/** A manifest with layers of files, and an index of manifests, is no signature. */
function isOfImage(key: string): boolean {
  return key.startsWith(`${PREFIX}.l.`) || key.startsWith(`${PREFIX}.m.`);
}

/**
 * Brings what refers to something that the archive has brought, in the order of the archive, as one may refer to another. A label of the
 * subject keeps it as long as the subject is kept. What the index says and the document does not is no reference. `bring` gets the name of an
 * image whose repository has the document; undefined where the archive does not tell one.
 */
export async function bringReferrers(
  deps: BringingReferrers,
  referrers: readonly Referrer[],
  { signal }: Call,
  bring: (desc: Descriptor, source: string | undefined) => Promise<void>,
): Promise<void> {
  const { content, report } = deps;
  const tied = new Map(deps.documents);
  const several = severalAtTag(deps.read, referrers);
  for (const { desc, subject } of referrers) {
    if ((await ifFound(content.info(subject, { signal }))) === undefined) continue;
    let source: string | undefined;
    const why = await whyNot(deps, desc, subject, tied, { signal }, async (kind) => {
      const isOne = kind === undefined || !(await several(subject, kind, { signal }));
      source = isOne ? tied.get(subject) : undefined;
      await bring(desc, source);
    });
    if (why !== undefined) {
      report({ type: 'warning', message: `Left out the referrer ${desc.digest}: ${why}` });
      continue;
    }
    await content.label(subject, subjectLabel(subject, desc), { signal });
    tied.set(desc.digest, source);
  }
}

/** Whether several documents of the archive are of one tag of cosign's: a repository has one there, and nothing tells which. */
function severalAtTag(read: BringingReferrers['read'], referrers: readonly Referrer[]) {
  const known = new Map<string, Promise<boolean>>();
  const look = async (about: Digest, kind: AttachmentKind, call: Call): Promise<boolean> => {
    const found = new Set<string>();
    for (const { desc, subject } of referrers) {
      if (subject !== about) continue;
      const bytes = await ifFound(read(desc, call));
      if (bytes && attachmentTo(subject, bytes, desc.digest)?.kind === kind) found.add(desc.digest);
    }
    return found.size > 1;
  };
  return (subject: Digest, kind: AttachmentKind, call: Call): Promise<boolean> => {
    const key = `${kind} ${subject}`;
    const looking = known.get(key) ?? look(subject, kind, call);
    known.set(key, looking);
    return looking;
  };
}

/** Undefined: the document is brought, told its kind of cosign's. All is asked before anything is brought. */
async function whyNot(
  { read, isStrange }: BringingReferrers,
  desc: Descriptor,
  subject: Digest,
  tied: ReadonlyMap<string, unknown>,
  call: Call,
  bring: (kind: AttachmentKind | undefined) => Promise<void>,
): Promise<string | undefined> {
  if (!tied.has(subject)) return `${subject} is no part of what the archive brings`;
  try {
    const bytes = await read(desc, call);
    if (!isAbout(subject, bytes, desc.digest)) return `it does not refer to ${subject}`;
    if (await isStrange(desc, call)) return 'nobody vouches for what it is, or leads to';
    await bring(attachmentTo(subject, bytes, desc.digest)?.kind);
    return undefined;
  } catch (err) {
    if (!isKind(err, 'NotFound')) throw err;
    return messageOf(err);
  }
}

/** Whether a document is about `subject`: it says so, or it is of a form that cannot say so. */
function isAbout(subject: Digest, bytes: Uint8Array, digest: Digest): boolean {
  return referrerOf(bytes, digest)?.subject === subject || attachmentTo(subject, bytes, digest) !== undefined;
}

/** The label by which a document keeps what is about it. */
export function subjectLabel(subject: Digest, desc: Descriptor): Labels {
  return childLabels([{ ...desc, annotations: { [SUBJECT]: subject } }]);
}

/** Undefined for what is not of cosign's old form. */
export function attachmentTo(subject: Digest, bytes: Uint8Array, digest: Digest): Referrer | undefined {
  const desc = { mediaType: documentType(bytes, '') ?? '', digest, size: bytes.length };
  try {
    const kind = attachmentIn(bytes, desc);
    if (kind === undefined) return undefined;
    const annotations = { [SUBJECT]: subject };
    return {
      desc: { ...desc, artifactType: attachmentType(kind), annotations },
      subject,
      kind,
      signs: kind === 'sig',
    };
  } catch {
    return undefined;
  }
}

/** Undefined for what refers to nothing, and for what is no document. */
function referrerOf(bytes: Uint8Array, digest: Digest): Referrer | undefined {
  const mediaType = documentType(bytes, '') ?? '';
  const desc = { mediaType, digest, size: bytes.length };
  try {
    const parsed = parseReferrer(bytes, desc);
    if (parsed === undefined) return undefined;
    const { subject, artifactType, annotations } = parsed;
    const signs = isSignature({ ...desc, artifactType, annotations });
    return {
      desc: { ...desc, artifactType, annotations: { [SUBJECT]: subject } },
      subject,
      signs,
      annotations,
    };
  } catch {
    return undefined;
  }
}
