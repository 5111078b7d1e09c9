import { findError, HawserError, hintOf, isKind, messageOf } from '../../core/errors.ts';

/** The result of `work`. A NotFound without a hint gets `hint`. */
export async function orHint<T>(work: Promise<T>, hint: string): Promise<T> {
  try {
    return await work;
  } catch (err) {
    if (!isKind(err, 'NotFound') || hintOf(err) !== undefined) throw err;
    throw new HawserError('NotFound', messageOf(err), { cause: err, hint, reason: findError(err)?.reason });
  }
}

export const BLOBS_HERE = 'hawser content ls lists the blobs that are here';
export const SNAPSHOTS_HERE =
  'hawser snapshots ls lists the snapshots; --snapshotter names another snapshotter';
