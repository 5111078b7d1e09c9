import type { Descriptor } from '../oci/descriptor.ts';
import type { Matcher } from './match.ts';

/**
 * The one order in which the children of an index are taken, for fetching and for reading a store (image-spec image-index.md: the
 * first of equals). Those that match, the best first; then those without a platform.
 */
export function rank<T extends Pick<Descriptor, 'platform'>>(
  candidates: readonly T[],
  matcher: Matcher,
): T[] {
  const matching = candidates.flatMap((candidate) => {
    const { platform } = candidate;
    const fits = platform !== undefined && matcher.match(platform);
    return fits ? [{ candidate, platform }] : [];
  });
  matching.sort((a, b) => matcher.compare(a.platform, b.platform));
  const unknown = candidates.filter(({ platform }) => platform === undefined);
  return [...matching.map(({ candidate }) => candidate), ...unknown];
}
