import type { Platform } from '../oci/descriptor.ts';
import type { Matcher } from './match.ts';

interface Candidate {
  readonly platform?: Platform | undefined;
}

/** The candidates that match, best first, equals in their order; then the candidates without a platform. */
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
