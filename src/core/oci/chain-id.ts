import type { Hashers } from '../ports/hashers.ts';
import { type Digest, makeDigest } from './digest.ts';

const encoder = new TextEncoder();

/**
 * image-spec config.md, "Layer ChainID": the chain ID of each prefix of `diffIds`, lowest layer first; the last is the
 * image's. Always sha256, whatever the diff IDs use.
 */
export function chainIds(diffIds: readonly Digest[], hashers: Hashers): Digest[] {
  const out: Digest[] = [];
  for (const diffId of diffIds) {
    const below = out.at(-1);
    if (below === undefined) {
      out.push(diffId);
      continue;
    }
    const hasher = hashers.create('sha256');
    hasher.update(encoder.encode(`${below} ${diffId}`));
    out.push(makeDigest('sha256', hasher.digest()));
  }
  return out;
}
