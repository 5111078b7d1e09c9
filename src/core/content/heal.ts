import { findError, HawserError, ifFound, isKind, messageOf } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { Verifier } from './content-store.ts';

/** The hint of an error over bytes that a store has lost or has damaged. A pull trusts what is recorded, and would say that the blob exists. */
export const STORED_DAMAGE = 'The stored blob is damaged: hawser images repair REF fetches it anew';

export interface Anew extends Call {
  /** Of `Ingester.ingest`. */
  readonly anew?: boolean;
}

export interface Healing {
  readonly content: Verifier;
  /** Brings a blob whose bytes are damaged. Not given: this verb does not fetch. */
  readonly refetch?: ((desc: Descriptor, call: Anew) => Promise<unknown>) | undefined;
  /** Told before a blob is brought anew. */
  readonly warn?: ((message: string) => void) | undefined;
}

/**
 * Runs `work`, which reads a stored blob. When `work` fails and the bytes in the store have lost their digest, they are
 * brought anew and `work` runs once more. Where nothing can be fetched: DataLoss that says so. An error that
 * comes through unchanged is therefore the blob's own, as it was published. After an abort the bytes are not looked at.
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
    if (refetch === undefined) throw damaged(desc, err);
    warn?.(`The stored blob ${desc.digest} was damaged: it is fetched anew`);
    await refetch(desc, { ...call, anew: true });
    return await work();
  }
}

/**
 * Whether bytes are not what they should be, which damage can cause: their format, their digest, what they say. Refusals of the
 * system, of a limit or of a format that hawser does not read are no misfit.
 */
export function isMisfit(err: unknown): boolean {
  const reason = findError(err)?.reason?.type;
  if (reason === 'malformed' || isKind(err, 'DataLoss')) return true;
  return reason === undefined && isKind(err, 'InvalidArgument');
}

/** A misfit, a file that cannot be read, or (containerd's applier tells no more) an error of unknown reason. */
function mayBeRot(err: unknown): boolean {
  if (isMisfit(err)) return true;
  const reason = findError(err)?.reason;
  if (reason?.type === 'errno') return reason.errno === 'EIO' || reason.errno === 'ENOENT';
  return reason === undefined && isKind(err, 'NotFound', 'FailedPrecondition', 'OutOfRange', 'Internal');
}

function damaged({ digest }: Descriptor, cause: unknown): HawserError {
  return new HawserError(
    'DataLoss',
    `The stored blob ${digest} is damaged, and is not used (${messageOf(cause)})`,
    { cause, hint: STORED_DAMAGE },
  );
}
