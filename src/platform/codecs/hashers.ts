import process from 'node:process';
import type { Hashers } from '../../core/ports/hashers.ts';

/** SHA-2 by node:crypto, which takes a tenth of a start to load: on first use. */
export function createHashers(): Hashers {
  return {
    create(name) {
      const hash = process.getBuiltinModule('node:crypto').createHash(name);
      return {
        update: (bytes) => void hash.update(bytes),
        digest: () => hash.digest('hex'),
      };
    },
  };
}
