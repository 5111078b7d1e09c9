/** Signatures that travel in a layout: listed beside the images (oras, hawser), or under names that are cosign's tags (regctl). */
import type { Provider } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { HawserError } from '../errors.ts';
import { SUBJECT } from '../images/gc-labels.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { MAX_MANIFEST_BYTES, parseIndex } from '../oci/documents.ts';
import { isIndexType } from '../oci/media-types.ts';
import { parseReferrer } from '../oci/referrer.ts';
import { attachmentIn, attachmentTag, kindOfType } from '../oci/signatures.ts';
import { referrersTag } from '../registry/referrers-tag.ts';
import type { Evidence, TaggedDocument } from '../trust/evidence.ts';
import { IMAGE_NAME, REF_NAME } from './annotations.ts';

/** Documents that are read to find out what they refer to. */
const MAX_READ = 256;
/** Of one tag, of several repositories. */
const MAX_TAGGED = 16;

const LACKING =
  'Only the signatures in the archive were looked at: where hawser makes the archive, hawser fetch --signatures before hawser export brings all that the registry has';

/** `roots`: all that index.json lists. */
export function layoutEvidence(blobs: Pick<Provider, 'open'>, roots: readonly Descriptor[]): Evidence {
  const read: Evidence['read'] = async (desc, limit, call) => {
    if (desc.size > limit)
      throw new HawserError('ResourceExhausted', `${desc.digest} has ${desc.size} bytes, more than ${limit}`);
    return await readBlob(blobs, desc, limit, call);
  };
  const tagged: Evidence['tagged'] = async (tag, limit, call) => {
    const found = new Map<string, TaggedDocument>();
    for (const desc of roots) {
      if (!(isNamed(desc, tag) || isAttached(desc, tag)) || found.has(desc.digest)) continue;
      if (found.size >= MAX_TAGGED) throw tooMany(MAX_TAGGED, `documents for the tag ${tag}`);
      const bytes = await read(desc, limit, call);
      if (isNamed(desc, tag) || attachmentIn(bytes, desc) !== undefined)
        found.set(desc.digest, { desc, bytes });
    }
    return [...found.values()];
  };
  return {
    read,
    tagged,
    hint: LACKING,
    async referrers(subject, wanted, call) {
      const found: Descriptor[] = [];
      for (const desc of candidates(roots, subject, wanted)) {
        const referrer = parseReferrer(await read(desc, MAX_MANIFEST_BYTES, call), desc);
        if (referrer?.subject !== subject) continue;
        const { artifactType, annotations } = referrer;
        found.push({ ...desc, artifactType, annotations });
      }
      const list = await tagged(referrersTag(subject), MAX_MANIFEST_BYTES, call);
      const listed = list.flatMap(({ desc, bytes }) => childrenOf(desc, bytes));
      const all = [...found, ...listed].filter((one) => one.artifactType === wanted);
      return [...new Map(all.map((one) => [one.digest, one])).values()];
    },
  };
}

/** In hawser's archives, which give no name that a reader would take for an image's: by the subject. The document may be of another form. */
function isAttached({ annotations = {}, artifactType }: Descriptor, tag: string): boolean {
  const [subject, kind] = [annotations[SUBJECT] ?? '', kindOfType(artifactType)];
  return kind !== undefined && isDigest(subject) && attachmentTag(subject, kind) === tag;
}

/** By its tag alone, or at the end of a full name. */
function isNamed({ annotations = {} }: Descriptor, tag: string): boolean {
  return [annotations[REF_NAME], annotations[IMAGE_NAME]].some(
    (name) => name === tag || name?.endsWith(`:${tag}`) === true,
  );
}

/** What the index says is only a hint: which documents to look at. */
function candidates(
  roots: readonly Descriptor[],
  subject: Digest,
  artifactType: string,
): readonly Descriptor[] {
  const found = roots.filter((one) => {
    const named = one.annotations?.[SUBJECT];
    if (named === undefined) return one.artifactType === artifactType;
    return named === subject && (one.artifactType ?? artifactType) === artifactType;
  });
  if (found.length > MAX_READ) throw tooMany(MAX_READ, 'referrers');
  return found;
}

function tooMany(limit: number, what: string): HawserError {
  return new HawserError('ResourceExhausted', `the archive has more than ${limit} ${what}`);
}

function childrenOf(desc: Descriptor, bytes: Uint8Array): readonly Descriptor[] {
  if (!isIndexType(desc.mediaType))
    throw new HawserError('InvalidArgument', 'what is at the tag of the referrers is no list of them');
  return parseIndex(bytes, desc).manifests;
}
