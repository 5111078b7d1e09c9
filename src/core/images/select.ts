/**
 * Selects the children of an index that a pull wants: for every wanted platform the best match, the first of equals
 * (image-spec image-index.md). Fetching and unpacking follow this one rule; containerd has two.
 */
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { isManifestType } from '../oci/media-types.ts';
import { formatPlatform } from '../platforms/format.ts';
import { type Matcher, only } from '../platforms/match.ts';

/** `follow`: the children to visit, in index order. `chosen`: the manifest of each wanted platform. */
export interface Selection {
  readonly follow: readonly Descriptor[];
  readonly chosen: ReadonlyMap<string, Descriptor>;
}

/** Always follows the children without a platform, because only their configs tell it. */
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

/** The best child that matches; the earlier of equals. */
function bestMatch(children: readonly Descriptor[], matcher: Matcher): Descriptor | undefined {
  let best: Descriptor | undefined;
  for (const child of children) {
    if (child.platform === undefined || !matcher.match(child.platform)) continue;
    if (best?.platform === undefined || matcher.compare(child.platform, best.platform) < 0) best = child;
  }
  return best;
}

/** The image manifests for a real platform; attestations (`unknown/unknown`) are not unpacked. */
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

/** The platforms of an index for messages, sorted. */
export function platformNames(children: readonly Descriptor[]): string[] {
  const names = children.flatMap((c) =>
    c.platform && c.platform.os !== 'unknown' ? [formatPlatform(c.platform)] : [],
  );
  return [...new Set(names)].sort();
}
