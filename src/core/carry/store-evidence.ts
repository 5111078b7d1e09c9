/** Signatures that a store has: those that labels tie to an image, those that name the image, and those under a name of cosign's. */
import { readBlob } from '../content/read.ts';
import { HawserError, ifFound } from '../errors.ts';
import type { Image, ImageStore } from '../images/image-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parseAttachmentTag } from '../oci/signatures.ts';
import type { Call } from '../ports/call.ts';
import type { Reference } from '../reference/reference.ts';
import type { Evidence, TaggedDocument } from '../trust/evidence.ts';
import { attachmentsOf, type Referrer, type ReferrerContent, referrersHere } from './referrers.ts';

export interface SignatureStore {
  readonly content: ReferrerContent;
  readonly images: Pick<ImageStore, 'get'>;
}

/** Gives the evidence for images of a store. No registry is asked. What refers to others is looked for once, for all images. */
export function storeEvidence({ content, images }: SignatureStore): (reference: Reference) => Evidence {
  let here: Promise<readonly Referrer[]> | undefined;
  const read: Evidence['read'] = async (desc, limit, call) => {
    if (desc.size <= limit) return await readBlob(content, desc, limit, call);
    throw new HawserError(
      'ResourceExhausted',
      `${desc.digest} has ${desc.size} bytes in the store, more than ${limit}`,
    );
  };
  return (reference) => ({
    read,
    hint: `Only the signatures in the store were looked at: hawser pull --signatures ${reference.name} brings all that its registry has`,
    async tagged(tag, limit, call) {
      const descs = await attachedUnder(tag, { content, images }, reference, call);
      const found: TaggedDocument[] = [];
      for (const desc of descs) found.push({ desc, bytes: await read(desc, limit, call) });
      return found;
    },
    async referrers(subject, artifactType, call) {
      here ??= referrersHere(content, { signaturesOnly: true, ...call });
      const found = (await here).filter((one) => one.subject === subject);
      return found
        .map(({ desc, annotations }) => ({ ...desc, annotations }))
        .filter((desc) => desc.artifactType === artifactType);
    },
  });
}

/** Each once. None for a tag that is not cosign's: what refers to an image is found without the tag of the list. */
async function attachedUnder(
  tag: string,
  { content, images }: SignatureStore,
  { host, repository }: Pick<Reference, 'host' | 'repository'>,
  call: Call,
): Promise<readonly Descriptor[]> {
  const of = parseAttachmentTag(tag);
  if (of === undefined) return [];
  const failures: unknown[] = [];
  const damaged = (err: unknown) => void failures.push(err);
  const attached = await attachmentsOf(content, of.subject, { damaged, ...call });
  const named: Image | undefined = await ifFound(images.get(`${host}/${repository}:${tag}`, call));
  const descs = attached.filter(({ kind }) => kind === of.kind).map(({ desc }) => desc);
  const all = named === undefined ? descs : [...descs, named.target];
  // A damaged one hides no sound one; alone, the judge says why none is good.
  if (all.length === 0 && failures.length > 0) throw failures[0];
  return [...new Map(all.map((desc) => [desc.digest, desc])).values()];
}
