import { cleaningUp } from '../async/cleanup.ts';
import { isKind } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { WriteCall } from '../ports/call.ts';
import type { Ingester } from './content-store.ts';
import { refKey } from './ref-key.ts';

/** Stores a document that was made here. Does nothing when the store has it. */
export async function writeBlob(
  content: Ingester,
  desc: Descriptor,
  bytes: Uint8Array,
  call: WriteCall,
): Promise<void> {
  try {
    const ingest = await content.ingest(refKey(desc), desc, call);
    const filled = async (): Promise<void> => {
      await ingest.reset(call);
      await ingest.write(bytes, call);
      await ingest.commit({ size: desc.size, digest: desc.digest, ...call });
    };
    await cleaningUp(filled, () => ingest[Symbol.asyncDispose]());
  } catch (err) {
    if (!isKind(err, 'AlreadyExists')) throw err;
  }
}
