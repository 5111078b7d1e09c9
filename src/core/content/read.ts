import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { Provider } from './content-store.ts';

/** Reads a whole document into memory; never used for layers. More than `limit` bytes: ResourceExhausted. */
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
    if (filled + chunk.length > bytes.length) throw changed(desc, filled + chunk.length);
    bytes.set(chunk, filled);
    filled += chunk.length;
  }
  if (filled !== bytes.length) throw changed(desc, filled);
  return bytes;
}

function changed(desc: Pick<Descriptor, 'digest' | 'size'>, got: number): HawserError {
  return new HawserError(
    'DataLoss',
    `Cannot read ${desc.digest}: it has ${got} bytes in the store, want ${desc.size}`,
    {
      hint: 'The stored blob is damaged; pull the image again',
    },
  );
}
