import { findError, HawserError, hintOf, type Kind, kindOf, messageOf } from '../../core/errors.ts';

/** The result of `work`. An error without a hint gets that of its kind; a text is of NotFound. */
export async function orHint<T>(
  work: Promise<T>,
  hints: string | Readonly<Partial<Record<Kind, string>>>,
): Promise<T> {
  try {
    return await work;
  } catch (err) {
    const kind = kindOf(err);
    const hint = (typeof hints === 'string' ? { NotFound: hints } : hints)[kind];
    if (hint === undefined || hintOf(err) !== undefined) throw err;
    throw new HawserError(kind, messageOf(err), { cause: err, hint, reason: findError(err)?.reason });
  }
}

export const BLOBS_HERE = 'hawser content ls lists the blobs that are here';
export const SNAPSHOTS_HERE =
  'hawser snapshots ls lists the snapshots; --snapshotter names another snapshotter';
