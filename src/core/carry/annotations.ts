/** Names of images in the index of a layout, as every reader wants them (spec: image-spec annotations.md, containerd's importer). */
import { isDigest } from '../oci/digest.ts';
import { parseReference } from '../reference/parse.ts';

/** containerd, Docker, nerdctl and k3s: the full name. */
export const IMAGE_NAME = 'io.containerd.image.name';
/** skopeo, umoci, oras and regctl: what they call the image by. */
export const REF_NAME = 'org.opencontainers.image.ref.name';
/** Of an index that was reduced to what was here: the digest of the original. */
export const SOURCE_DIGEST = 'vnd.hawser.source.digest';

/** The tag of a record's name; undefined for a name by digest, for the ID of an image (CRI), and for what is no reference. */
export function tagOf(name: string): string | undefined {
  if (isDigest(name)) return undefined;
  try {
    return parseReference(name).tag;
  } catch {
    return undefined;
  }
}

/** `docker.io/library/alpine:3`, as manifest.json has it; undefined for a name without a tag. */
export function repoTag(name: string): string | undefined {
  const tag = tagOf(name);
  if (tag === undefined) return undefined;
  const { host, repository } = parseReference(name);
  return `${host}/${repository}:${tag}`;
}

export type RefNameForm = 'tag' | 'full';

/**
 * The ref.name of each name, in order: its tag, which oras and regctl take for a registry's; the full name where two images would
 * share a tag (skopeo takes the first of two, umoci none), and where there is no tag.
 */
export function refNames(
  images: readonly { readonly name: string; readonly digest: string }[],
  form: RefNameForm = 'tag',
): string[] {
  const byTag = new Map<string, Set<string>>();
  for (const { name, digest } of images) {
    const tag = tagOf(name) ?? '';
    byTag.set(tag, (byTag.get(tag) ?? new Set()).add(digest));
  }
  return images.map(({ name }) => {
    const tag = tagOf(name);
    return form === 'full' || tag === undefined || (byTag.get(tag)?.size ?? 0) > 1 ? name : tag;
  });
}
