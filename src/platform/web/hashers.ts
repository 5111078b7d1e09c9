import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { toHex } from '../../core/bytes.ts';
import type { Hashers } from '../../core/ports/hashers.ts';

const HASHES = { sha256, sha384, sha512 } as const;

/** SHA-2 in JavaScript: Web Crypto hashes no streams. */
export function webHashers(): Hashers {
  return {
    create(name) {
      const hash = HASHES[name].create();
      return { update: (bytes) => void hash.update(bytes), digest: () => toHex(hash.digest()) };
    },
  };
}
