/** The entries of an index that somebody may take of it: what has to be signed where the index is not. */
import type { Descriptor } from '../oci/descriptor.ts';
import { MAX_MANIFEST_BYTES, parseIndex } from '../oci/documents.ts';
import { isIndexType, isManifestType } from '../oci/media-types.ts';
import { only } from '../platforms/match.ts';
import type { Call } from '../ports/call.ts';
import type { Subject } from './verdict.ts';

/**
 * Whatever an entry says that it is: readers differ in which of the entries of a platform they take, and by what they tell artifacts from
 * images. An entry without a platform may be for any. What is no manifest is taken where nothing else is.
 */
export async function instancesOf(
  { platforms, evidence }: Pick<Subject, 'platforms' | 'evidence'>,
  index: Descriptor,
  call: Call,
): Promise<readonly Descriptor[]> {
  const { manifests } = parseIndex(await evidence.read(index, MAX_MANIFEST_BYTES, call), index);
  const unique = [...new Map(manifests.map((one) => [one.digest, one])).values()];
  if (platforms === 'all') return unique;
  const digests = new Set(
    manifests.filter((one) => isDocument(one) && mayBeWanted(one, platforms)).map(digestOf),
  );
  return digests.size === 0
    ? unique.filter((one) => !isDocument(one))
    : unique.filter(({ digest }) => digests.has(digest));
}

function mayBeWanted({ platform }: Descriptor, platforms: Exclude<Subject['platforms'], 'all'>): boolean {
  if (platform === undefined) return true;
  if (platforms === 'any') return platform.os !== 'unknown' || platform.architecture !== 'unknown';
  return platforms.some((wanted) => only(wanted).match(platform));
}

function isDocument({ mediaType }: Descriptor): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType);
}

function digestOf({ digest }: Descriptor): string {
  return digest;
}
