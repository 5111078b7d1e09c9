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
 * an index among them has to be read to know more.
 */
export interface Selection {
  readonly follow: readonly Descriptor[];
  readonly candidates: ReadonlyMap<string, readonly Descriptor[]>;
}

/** Children without a platform, of which only their configs tell it, are followed where a manifest is not chosen for each platform. */
export function selectChildren(
  children: readonly Descriptor[],
  wanted: readonly Platform[] | 'all',
): Selection {
  if (wanted === 'all') return { follow: children, candidates: runnable(children) };
  const candidates = new Map<string, readonly Descriptor[]>();
  const declared = children.filter(({ platform }) => platform !== undefined);
  for (const platform of wanted) {
    const matches = rank(declared, only(platform));
    if (matches.length > 0) candidates.set(platformText(platform), matches);
  }
  const best = new Set([...candidates.values()].map(([first]) => first));
  const isComplete =
    wanted.every((platform) => candidates.has(platformText(platform))) &&
    [...best].every((one) => one !== undefined && isImageEntry(one));
  const isFollowed = (child: Descriptor) => best.has(child) || (child.platform === undefined && !isComplete);
  return { follow: children.filter(isFollowed), candidates };
}

/** The image manifests for a real platform; attestations (`unknown/unknown`) are not unpacked. */
function runnable(children: readonly Descriptor[]): Map<string, readonly Descriptor[]> {
  const found = new Map<string, readonly Descriptor[]>();
  for (const child of children) {
    const p = child.platform;
    if (p === undefined || !isReal(p) || !isImageEntry(child)) continue;
    const name = platformText(p);
    found.set(name, [...(found.get(name) ?? []), child]);
  }
  return found;
}

function isImageEntry({ mediaType, artifactType }: Descriptor): boolean {
  return isManifestType(mediaType) && !isArtifactType(artifactType);
}

/** False for the platform of BuildKit's attestations. */
function isReal({ os, architecture }: Platform): boolean {
  return os !== 'unknown' && architecture !== 'unknown';
}

/** The platforms of an index for messages, sorted. */
export function platformNames(children: readonly Descriptor[]): string[] {
  const names = children.flatMap(({ platform, artifactType }) =>
    platform !== undefined && isReal(platform) && !isArtifactType(artifactType)
      ? [platformText(platform)]
      : [],
  );
  return [...new Set(names)].sort();
}
