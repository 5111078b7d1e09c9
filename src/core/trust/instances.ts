/** The manifests below an index that are wanted of it: those that a pull takes. */
import { searchManifest } from '../images/find-manifest.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, parseIndex } from '../oci/documents.ts';
import { isImageConfigType, isIndexType } from '../oci/media-types.ts';
import { only } from '../platforms/match.ts';
import type { Call } from '../ports/call.ts';
import type { Subject } from './verdict.ts';

/** Empty for a root that is no index. NotFound is left to the pull: what an index does not have is not judged. */
export async function instancesOf(
  { root, platforms, evidence }: Subject,
  call: Call,
): Promise<readonly Digest[]> {
  if (!isIndexType(root.mediaType)) return [];
  const read = (desc: Descriptor, own: Call) =>
    evidence.read(desc, isImageConfigType(desc.mediaType) ? MAX_CONFIG_BYTES : MAX_MANIFEST_BYTES, own);
  if (platforms === 'all') {
    const { manifests } = parseIndex(await read(root, call), root);
    return unique(manifests);
  }
  const wanted: Descriptor[] = [];
  for (const platform of platforms) {
    const { found, untold, others } = await searchManifest(read, root, only(platform), {
      ...call,
      partial: false,
    });
    wanted.push(...(found === undefined ? [...untold, ...others] : [found.desc]));
  }
  return unique(wanted);
}

function unique(list: readonly Descriptor[]): readonly Digest[] {
  return [...new Set(list.map(({ digest }) => digest))];
}
