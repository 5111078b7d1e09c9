/**
 * Selects the children of an index that a pull wants: for every wanted platform the best match, the first of equals
 * (image-spec image-index.md). Fetching and unpacking follow this one rule; containerd has two.
 */
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { isArtifactType, isManifestType } from '../oci/media-types.ts';
import { platformText } from '../platforms/format.ts';
import { only } from '../platforms/match.ts';
import { rank } from '../platforms/pick.ts';

/**
 * `follow`: the children to visit, in index order. `candidates`: for each wanted platform the children that match, the best first;
 * an index among them has to be read to know more. `artifacts`: likewise those whose entries call them artifacts. Such an entry
 * serves a platform only where there is no image at all: the caller can tell once everything is read.
 */
export interface Selection {
  readonly follow: readonly Descriptor[];
  readonly candidates: ReadonlyMap<string, readonly Descriptor[]>;
  readonly artifacts: ReadonlyMap<string, readonly Descriptor[]>;
}

/** Children without a platform, of which only their configs tell it, are followed where a manifest is not chosen for each platform. */
export function selectChildren(
  children: readonly Descriptor[],
  wanted: readonly Platform[] | 'all',
): Selection {
  if (wanted === 'all') return { follow: children, candidates: runnable(children), artifacts: new Map() };
  const declared = children.filter(({ platform }) => platform !== undefined);
  const candidates = matching(
    declared.filter((child) => !isArtifactEntry(child)),
    wanted,
  );
  const artifacts = matching(declared.filter(isArtifactEntry), wanted);
  const best = new Set([...candidates.values()].map(([first]) => first));
  const isComplete =
    wanted.every((platform) => candidates.has(platformText(platform))) &&
    [...best].every((one) => one !== undefined && isImageEntry(one));
  const isFollowed = (child: Descriptor) => best.has(child) || (child.platform === undefined && !isComplete);
  return { follow: children.filter(isFollowed), candidates, artifacts };
}

function matching(
  children: readonly Descriptor[],
  wanted: readonly Platform[],
): Map<string, readonly Descriptor[]> {
  const found = new Map<string, readonly Descriptor[]>();
  for (const platform of wanted) {
    const matches = rank(children, only(platform));
    if (matches.length > 0) found.set(platformText(platform), matches);
  }
  return found;
}

/** The image manifests for a real platform; attestations (`unknown/unknown`) are not unpacked. */
function runnable(children: readonly Descriptor[]): Map<string, readonly Descriptor[]> {
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
