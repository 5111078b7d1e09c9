import { createHash } from 'node:crypto';
import type { Hashers } from '../../core/ports/hashers.ts';

/** SHA-2 by node:crypto. */
export function createHashers(): Hashers {
  return {
    create(name) {
      const hash = createHash(name);
      return {
        update: (bytes) => void hash.update(bytes),
        digest: () => hash.digest('hex'),
      };
    },
  };
}
