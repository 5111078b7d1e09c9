import type { Platform } from '../oci/descriptor.ts';
import type { Matcher } from './match.ts';

interface Candidate {
  readonly platform?: Platform | undefined;
}

/** Those that match, best first, ties in the order given; then those that do not say their platform. */
export function rank<T extends Candidate>(candidates: readonly T[], matcher: Matcher): T[] {
  const known: { candidate: T; platform: Platform }[] = [];
  const unknown: T[] = [];
  for (const candidate of candidates) {
    const { platform } = candidate;
    if (platform === undefined) unknown.push(candidate);
    else if (matcher.match(platform)) known.push({ candidate, platform });
  }
  known.sort((a, b) => matcher.compare(a.platform, b.platform));
  return [...known.map(({ candidate }) => candidate), ...unknown];
}
