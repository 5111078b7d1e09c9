import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest, makeDigest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { Provider } from './content-store.ts';
import { STORED_DAMAGE } from './heal.ts';

/**
 * Reads a whole document into memory; never used for layers. More than `limit` bytes: ResourceExhausted. DataLoss as `open` tells damage,
 * and for bytes whose digest holds, but which are not as many as the descriptor says.
 */
export async function readBlob(
  provider: Provider,
  desc: Pick<Descriptor, 'digest' | 'size'>,
  limit: number,
  call: Call = {},
): Promise<Uint8Array> {
  if (desc.size > limit) {
    throw new HawserError(
      'ResourceExhausted',
      `Cannot read ${desc.digest}: it has ${desc.size} bytes, more than the ${limit} allowed for such a document`,
    );
  }
  const stream = await provider.open(desc.digest, call);
  const bytes = new Uint8Array(desc.size);
  let filled = 0;
  for await (const chunk of stream) {
    if (filled + chunk.length <= bytes.length) bytes.set(chunk, filled);
    filled += chunk.length;
    // What is longer is read on, for damage to be told first, which is at the end.
    if (filled > limit) break;
  }
  if (filled !== bytes.length) throw otherSize(desc, filled, limit);
  return bytes;
}

function otherSize(
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
  got: number,
  limit: number,
): HawserError {
  const has = got > limit ? `more than ${limit}` : got;
  return new HawserError(
    'DataLoss',
    `Cannot read ${digest}: it has ${has} bytes, not ${size} as its descriptor says`,
  );
}

type Next = () => Promise<Uint8Array | undefined>;

/** The pulls of a blob from its start. The end is DataLoss when the bytes have another digest, of a stored blob with the reason `mismatch`. */
export function hashed(
  next: Next,
  digest: Digest,
  hashers: Hashers,
  rotten: (digest: Digest, actual: Digest) => HawserError = rottenError,
): Next {
  const algorithm = algorithmOf(digest);
  const hasher = hashers.create(algorithm);
  return async () => {
    const bytes = await next();
    if (bytes !== undefined) hasher.update(bytes);
    else {
      const actual = makeDigest(algorithm, hasher.digest());
      if (actual !== digest) throw rotten(digest, actual);
    }
    return bytes;
  };
}

function rottenError(digest: Digest, actual: Digest): HawserError {
  return new HawserError(
    'DataLoss',
    `Cannot read ${digest}: its bytes in the store have the digest ${actual}`,
    {
      hint: STORED_DAMAGE,
      reason: { type: 'mismatch', expected: digest, actual },
    },
  );
}
