/** What the entries of an index say of themselves. */
import type { Descriptor } from '../oci/descriptor.ts';
import { isArtifactType, isManifestType } from '../oci/media-types.ts';
import { platformText } from '../platforms/format.ts';

/** The image manifests by their platforms; attestations (`unknown/unknown`) are not unpacked. */
export function runnable(children: readonly Descriptor[]): Map<string, readonly Descriptor[]> {
  const found = new Map<string, readonly Descriptor[]>();
  for (const child of children) {
    const { platform } = child;
    if (platform === undefined || !isListedImage(child) || !isImageEntry(child)) continue;
    const name = platformText(platform);
    found.set(name, [...(found.get(name) ?? []), child]);
  }
  return found;
}

function isImageEntry(child: Descriptor): boolean {
  return isManifestType(child.mediaType) && !isArtifactEntry(child);
}

export function isArtifactEntry({ artifactType }: Descriptor): boolean {
  return isArtifactType(artifactType);
}

/** Whether an index lists this child as an image, or an index of images, for a platform; BuildKit's attestations are for none. */
export function isListedImage(child: Descriptor): boolean {
  const { os, architecture } = child.platform ?? { os: 'unknown', architecture: 'unknown' };
  return os !== 'unknown' && architecture !== 'unknown' && !isArtifactEntry(child);
}

/** The platforms of an index for messages, sorted. */
export function platformNames(children: readonly Descriptor[]): string[] {
  const names = children.flatMap((child) =>
    child.platform !== undefined && isListedImage(child) ? [platformText(child.platform)] : [],
  );
  return [...new Set(names)].sort();
}

/** Most platforms that a message names. */
const MOST_NAMES = 40;

/** The hint where no platform matches. `available`: those that the image has. */
export function availableHint(available: readonly string[]): string {
  if (available.length === 0) return 'The index lists no image for any platform';
  const more = available.length > MOST_NAMES ? ` and ${available.length - MOST_NAMES} more` : '';
  return `The image has: ${available.slice(0, MOST_NAMES).join(', ')}${more}. Choose with --platform`;
}
