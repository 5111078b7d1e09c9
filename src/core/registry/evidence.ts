/** Signatures in a repository: small documents, each asked for in as few requests as there can be. */
import { HawserError, ifFound } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parseIndex } from '../oci/documents.ts';
import { isIndexType, isManifestType, isSchema1Type } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Reference } from '../reference/reference.ts';
import type { Evidence } from '../trust/evidence.ts';
import { readCapped } from './body.ts';
import type { RepositoryClient } from './client.ts';
import { fetchObject } from './fetcher.ts';
import { type ListDeps, referrersOf, taggedReference } from './lists.ts';
import { openPages, readPages } from './pages.ts';
import { referrersTag } from './referrers-tag.ts';
import { readTagged, subtleDigest } from './resolver.ts';

/** Bytes of a list of referrers, or of one page of it. */
const MAX_LIST = 1024 * 1024;
const BOUNDS = { pages: 4, page: MAX_LIST };

export function openEvidence({ client, insist }: ListDeps, reference: Reference): Evidence {
  const tagged: Evidence['tagged'] = async (tag, limit, call) =>
    listOf(
      await ifFound(
        insist(call, () => readTagged(client(taggedReference(reference, tag)), tag, limit, call)),
      ),
    );
  return {
    tagged,
    async referrers(subject, artifactType, call) {
      const of = client(reference);
      const listing = referrersOf(of, subject, artifactType, BOUNDS);
      const first = await ifFound(openPages(of, listing, insist, call));
      if (first !== undefined) return await readPages(of, listing, insist, call, first);
      const found = await tagged(referrersTag(subject), MAX_LIST, call);
      return found.flatMap(({ bytes, desc }) => listed(bytes, desc, artifactType));
    },
    read: (desc, limit, call) => insist(call, () => readWhole(client(reference), desc, limit, call)),
  };
}

function listOf<T>(one: T | undefined): readonly T[] {
  return one === undefined ? [] : [one];
}

/** Of the list that pushers keep under a tag. Whatever else is under that tag is no list. */
function listed(bytes: Uint8Array, desc: Descriptor, artifactType: string): readonly Descriptor[] {
  if (!isIndexType(desc.mediaType))
    throw new HawserError('InvalidArgument', 'what is at the tag of the referrers is no list of them');
  return parseIndex(bytes, desc).manifests.filter((one) => one.artifactType === artifactType);
}

async function readWhole(
  client: RepositoryClient,
  desc: Descriptor,
  limit: number,
  call: Call,
): Promise<Uint8Array> {
  const { mediaType, digest, size } = desc;
  if (size > limit)
    throw new HawserError('ResourceExhausted', `${digest} has ${size} bytes, more than ${limit}`);
  const isDocument = isManifestType(mediaType) || isIndexType(mediaType) || isSchema1Type(mediaType);
  const kind = isDocument ? 'manifests' : 'blobs';
  const { body } = await fetchObject(client, desc, { ...call, kind });
  const bytes = await readCapped(body, size);
  if (bytes?.length !== size || (await subtleDigest(bytes, digest)) !== digest)
    throw new HawserError('DataLoss', `the bytes of ${digest} are not what its descriptor says`);
  return bytes;
}
