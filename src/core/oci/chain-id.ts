import type { Hashers } from '../ports/hashers.ts';
import { type Digest, digestBytes } from './digest.ts';

const encoder = new TextEncoder();

/**
 * image-spec config.md, "Layer ChainID": the chain ID of each prefix of `diffIds`, lowest layer first; the last is the
 * image's. Always sha256.
 */
export function chainIds(diffIds: readonly Digest[], hashers: Hashers): Digest[] {
  const out: Digest[] = [];
  for (const diffId of diffIds) {
    const below = out.at(-1);
    if (below === undefined) {
      out.push(diffId);
      continue;
    }
    out.push(digestBytes(encoder.encode(`${below} ${diffId}`), hashers));
  }
  return out;
}
