import { type Digest, digestBytes } from '../core/oci/digest.ts';
import type { HashName } from '../core/ports/hashers.ts';
import { createHashers } from '../platform/codecs/hashers.ts';

/** The digest of bytes. */
export function digestOf(bytes: Uint8Array, algorithm: HashName = 'sha256'): Digest {
  return digestBytes(bytes, createHashers(), algorithm);
}
