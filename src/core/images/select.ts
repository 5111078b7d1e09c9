/**
 * Which of an index's children a pull wants. One rule for fetching and unpacking, where containerd has two: for every
 * wanted platform the best match of the index (image-spec image-index.md: the first of equals).
 */
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { isManifestType } from '../oci/media-types.ts';
import { formatPlatform } from '../platforms/format.ts';
import { type Matcher, only } from '../platforms/match.ts';

/** The children to follow, in index order, and for each wanted platform the manifest it gets from this index. */
export interface Selection {
  readonly follow: readonly Descriptor[];
  readonly chosen: ReadonlyMap<string, Descriptor>;
}

/** Children without a platform are always followed: what they are is known only from their configs. */
export function selectChildren(
  children: readonly Descriptor[],
  wanted: readonly Platform[] | 'all',
): Selection {
  if (wanted === 'all') return { follow: children, chosen: runnable(children) };
  const chosen = new Map<string, Descriptor>();
  for (const platform of wanted) {
    const best = bestMatch(children, only(platform));
    if (best) chosen.set(formatPlatform(platform), best);
  }
  const keep = new Set(chosen.values());
  return { follow: children.filter((c) => keep.has(c) || c.platform === undefined), chosen };
}

/** The preferred child of those that match; the earlier of equals. */
function bestMatch(children: readonly Descriptor[], matcher: Matcher): Descriptor | undefined {
  let best: Descriptor | undefined;
  for (const child of children) {
    if (child.platform === undefined || !matcher.match(child.platform)) continue;
    if (best?.platform === undefined || matcher.compare(child.platform, best.platform) < 0) best = child;
  }
  return best;
}

/** Image manifests for a real platform: attestations (`unknown/unknown`) are kept, but nothing unpacks them. */
function runnable(children: readonly Descriptor[]): Map<string, Descriptor> {
  const found = new Map<string, Descriptor>();
  for (const child of children) {
    const p = child.platform;
    if (p === undefined || !isManifestType(child.mediaType)) continue;
    if (p.os === 'unknown' || p.architecture === 'unknown') continue;
    const name = formatPlatform(p);
    if (!found.has(name)) found.set(name, child);
  }
  return found;
}

/** For messages: the platforms an index has, sorted. */
export function platformNames(children: readonly Descriptor[]): string[] {
  const names = children.flatMap((c) =>
    c.platform && c.platform.os !== 'unknown' ? [formatPlatform(c.platform)] : [],
  );
  return [...new Set(names)].sort();
}
