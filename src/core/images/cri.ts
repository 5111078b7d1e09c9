/** The image records of Kubernetes' CRI plugin in containerd (internal/cri: server/images/image_pull.go, store/image, labels). */
import type { Labels, Provider } from '../content/content-store.ts';
import { isKind } from '../errors.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { mayBeImageConfig } from '../oci/media-types.ts';
import { only } from '../platforms/match.ts';
import type { Call } from '../ports/call.ts';
import { parseReference } from '../reference/parse.ts';
import { manifestFor } from './find-manifest.ts';
import type { Image } from './image-store.ts';

/** Of a pinned image: CRI's garbage collection leaves the image alone. */
export const PINNED_KEY = 'io.cri-containerd.pinned';
const MANAGED_KEY = 'io.cri-containerd.image';

export const PINNED: Labels = { [PINNED_KEY]: 'pinned' };
/** Of every record that CRI knows. Without the label, CRI reads the image on the record's event, and sets the label itself. */
export const MANAGED: Labels = { [MANAGED_KEY]: 'managed' };

export function isManaged({ labels }: Pick<Image, 'labels'>): boolean {
  return labels[MANAGED_KEY] === 'managed';
}

/**
 * What CRI calls an image: the digest of the config of the manifest that this machine runs. Undefined where that manifest is not here, or
 * is no image's.
 */
export async function imageId(
  content: Provider,
  target: Descriptor,
  machine: Platform,
  call: Call,
): Promise<Digest | undefined> {
  try {
    const { manifest } = await manifestFor(content, target, only(machine), call);
    return mayBeImageConfig(manifest.config.mediaType) ? manifest.config.digest : undefined;
  } catch (err) {
    if (isKind(err, 'NotFound')) return undefined;
    throw err;
  }
}

/** The name by digest, for pods that pin one; of a name that is no reference, undefined. */
export function digestName(name: string, { digest }: Pick<Descriptor, 'digest'>): string | undefined {
  if (isDigest(name)) return undefined;
  try {
    const { host, repository } = parseReference(name);
    return `${host}/${repository}@${digest}`;
  } catch {
    return undefined;
  }
}

/** The name for CRI, which knows no names of both tag and digest: the tag's, beside `digestName`. */
export function tagName(name: string): string {
  try {
    const { host, repository, tag, digest } = parseReference(name);
    return tag !== undefined && digest !== undefined ? `${host}/${repository}:${tag}` : name;
  } catch {
    return name;
  }
}

/** Whether the record is one that CRI has beside the name that a user gave: an ID, or a name by digest alone. */
export function isCompanion(image: Image): boolean {
  return isManaged(image) && (isDigest(image.name) || image.name === digestName(image.name, image.target));
}
