/**
 * Selects the children of an index that a pull wants: for every wanted platform the best match, the first of equals
 * (image-spec image-index.md). Fetching and unpacking follow this one rule; containerd has two.
 */
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { isManifestType } from '../oci/media-types.ts';
import { formatPlatform } from '../platforms/format.ts';
import { type Matcher, only } from '../platforms/match.ts';

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
  for (const platform of wanted) {
    const matches = matching(children, only(platform));
    if (matches.length > 0) candidates.set(formatPlatform(platform), matches);
  }
  const best = new Set([...candidates.values()].map(([first]) => first));
  const isComplete =
    wanted.every((platform) => candidates.has(formatPlatform(platform))) &&
    [...best].every((one) => one !== undefined && isManifestType(one.mediaType));
  const isFollowed = (child: Descriptor) => best.has(child) || (child.platform === undefined && !isComplete);
  return { follow: children.filter(isFollowed), candidates };
}

/** The children that match, the best first, the earlier of equals. Entries for artifacts are no image (image-spec: `artifactType`). */
function matching(children: readonly Descriptor[], matcher: Matcher): readonly Descriptor[] {
  const matches = children.flatMap(({ platform, artifactType }, at) =>
    platform !== undefined && artifactType === undefined && matcher.match(platform) ? [{ platform, at }] : [],
  );
  matches.sort((a, b) => matcher.compare(a.platform, b.platform) || a.at - b.at);
  return matches.flatMap(({ at }) => children[at] ?? []);
}

/** The image manifests for a real platform; attestations (`unknown/unknown`) are not unpacked. */
function runnable(children: readonly Descriptor[]): Map<string, readonly Descriptor[]> {
  const found = new Map<string, readonly Descriptor[]>();
  for (const child of children) {
    const p = child.platform;
    if (p === undefined || child.artifactType !== undefined || !isManifestType(child.mediaType)) continue;
    if (p.os === 'unknown' || p.architecture === 'unknown') continue;
    const name = formatPlatform(p);
    found.set(name, [...(found.get(name) ?? []), child]);
  }
  return found;
}

/** The platforms that an index has images for, for messages, sorted. */
export function platformNames(children: readonly Descriptor[]): string[] {
  const names = children.flatMap((c) =>
    c.platform && c.platform.os !== 'unknown' && c.artifactType === undefined
      ? [formatPlatform(c.platform)]
      : [],
  );
  return [...new Set(names)].sort();
}
