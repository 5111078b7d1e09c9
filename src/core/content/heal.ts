import { errnoOf, HawserError, ifFound, isKind, messageOf } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { Verifier } from './content-store.ts';

export interface Healing {
  readonly content: Verifier;
  /** Brings a blob that the store has dropped. Not given: this verb does not fetch. */
  readonly refetch?: ((desc: Descriptor, call: Call) => Promise<unknown>) | undefined;
  /** Told before a blob is brought anew. */
  readonly warn?: ((message: string) => void) | undefined;
}

/**
 * Runs `work`, which reads a stored blob. When `work` fails and the bytes in the store have lost their digest, the store drops
 * them; they are brought anew and `work` runs once more. Where nothing can be fetched: DataLoss that says so. An error that
 * comes through unchanged is therefore the blob's own, as it was published.
 */
export async function withSoundBlob<T>(
  { content, refetch, warn }: Healing,
  desc: Descriptor,
  call: Call,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (err) {
    if (!mayBeRot(err)) throw err;
    if ((await ifFound(content.verify(desc.digest, call))) === true) throw err;
    if (refetch === undefined) throw dropped(desc, err);
    warn?.(`The stored blob ${desc.digest} was damaged: it is fetched anew`);
    await refetch(desc, call);
    return await work();
  }
}

/** Whether bytes that have changed in the store could have caused this error: no abort, and no system call but reading them. */
function mayBeRot(err: unknown): boolean {
  if (isKind(err, 'Canceled', 'DeadlineExceeded', 'Unavailable', 'AlreadyExists')) return false;
  const errno = errnoOf(err);
  return errno === undefined || errno === 'EIO' || errno === 'ENOENT';
}

function dropped({ digest }: Descriptor, cause: unknown): HawserError {
  return new HawserError(
    'DataLoss',
    `The stored blob ${digest} was damaged and is no longer in the store (${messageOf(cause)})`,
    { cause, hint: 'Fetch it anew: hawser content fetch REF, or hawser images pull REF' },
  );
}
