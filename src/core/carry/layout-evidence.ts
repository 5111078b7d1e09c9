/** Signatures that travel in a layout: under names that are cosign's tags (regctl), or listed beside the images (oras, hawser). */
import type { Provider } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { HawserError } from '../errors.ts';
import { SUBJECT } from '../images/gc-labels.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { MAX_MANIFEST_BYTES, parseIndex } from '../oci/documents.ts';
import { isIndexType } from '../oci/media-types.ts';
import { parseReferrer } from '../oci/referrer.ts';
import { referrersTag } from '../registry/referrers-tag.ts';
import type { Evidence } from '../trust/evidence.ts';
import { IMAGE_NAME, REF_NAME } from './annotations.ts';

/** Documents that are read to find out what they refer to. */
const MAX_READ = 256;

/** `roots`: all that index.json lists. */
export function layoutEvidence(blobs: Pick<Provider, 'open'>, roots: readonly Descriptor[]): Evidence {
  const read: Evidence['read'] = async (desc, limit, call) => {
    if (desc.size > limit)
      throw new HawserError('ResourceExhausted', `${desc.digest} has ${desc.size} bytes, more than ${limit}`);
    return await readBlob(blobs, desc, limit, call);
  };
  const tagged: Evidence['tagged'] = async (tag, limit, call) => {
    const desc = roots.find((one) => isTagged(one, tag));
    return desc === undefined ? undefined : { desc, bytes: await read(desc, limit, call) };
  };
  return {
    read,
    tagged,
    async referrers(subject, artifactType, call) {
      const found: Descriptor[] = [];
      for (const desc of candidates(roots, subject, artifactType)) {
        const referrer = parseReferrer(await read(desc, MAX_MANIFEST_BYTES, call), desc);
        if (referrer?.subject === subject) found.push({ ...desc, artifactType: referrer.artifactType });
      }
      const list = await tagged(referrersTag(subject), MAX_MANIFEST_BYTES, call);
      const listed = list === undefined ? [] : childrenOf(list.desc, list.bytes);
      const all = [...found, ...listed].filter((one) => one.artifactType === artifactType);
      return [...new Map(all.map((one) => [one.digest, one])).values()];
    },
  };
}

/** By its tag alone, or at the end of a full name. */
function isTagged({ annotations = {} }: Descriptor, tag: string): boolean {
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
    return named === undefined ? one.artifactType === artifactType : named === subject;
  });
  if (found.length <= MAX_READ) return found;
  throw new HawserError(
    'ResourceExhausted',
    `the archive has ${found.length} referrers, more than ${MAX_READ}`,
  );
}

function childrenOf(desc: Descriptor, bytes: Uint8Array): readonly Descriptor[] {
  if (!isIndexType(desc.mediaType))
    throw new HawserError('InvalidArgument', 'what is at the tag of the referrers is no list of them');
  return parseIndex(bytes, desc).manifests;
}
