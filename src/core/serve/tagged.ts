import { type Digest, isDigest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Documents } from './documents.ts';
import type { Repository } from './repositories.ts';

/**
 * What a tag or digest means in a repository of the store: also a tag of cosign's about an image of the repository, whose signatures the store
 * keeps without a name. Undefined: nothing here.
 */
export async function digestFor(
  documents: Documents,
  repository: Repository | undefined,
  object: string,
  call: Call,
): Promise<Digest | undefined> {
  if (isDigest(object)) return object;
  if (repository === undefined) return undefined;
  return repository.tags.get(object)?.digest ?? (await documents.attachedUnder(object, repository, call));
}
