import { algorithmOf, type Digest, hexOf } from '../oci/digest.ts';

/** distribution-spec, "Referrers Tag Schema": algorithm and digest, cut to 32 and 64 characters. */
export function referrersTag(digest: Digest): string {
  return `${algorithmOf(digest).slice(0, 32)}-${hexOf(digest).slice(0, 64)}`;
}
