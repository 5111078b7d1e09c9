/** Files that decide on images: who else could have changed them. */
import { HawserError, hintOf, isKind, kindOf, messageOf, reasonOf } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Runtime } from '../runtime.ts';
import { OVERFLOW_UID, readIdMaps } from './id-map.ts';
import { checkFile, checkNamedFile } from './owned-path.ts';

/**
 * PermissionDenied for a file that others could have changed, FailedPrecondition for one that is gone. `ofSystem`: only root and this user may own, or write to, the file and the
 * directories that lead there. Else a user has named the file: root takes none that everybody can change, other users any.
 */
export type FileGuard = (path: string, ofSystem: boolean, call: Call) => Promise<void>;

export function fileGuard({ fs, host, syscalls }: Pick<Runtime, 'fs' | 'host' | 'syscalls'>): FileGuard {
  return async (path, ofSystem, call) => {
    const { uid } = host;
    // Root outside of a user namespace has this number inside.
    const unmapped = (await readIdMaps(fs, call)).isNamespace ? [OVERFLOW_UID] : [];
    try {
      if (ofSystem) checkFile(await syscalls(), path, [0, uid, ...unmapped]);
      else if (uid === 0) checkNamedFile(await syscalls(), path, [0, ...unmapped, ...inPlaceOf(host)]);
    } catch (err) {
      if (ofSystem || isRefusal(err)) throw refusal(err);
    }
  };
}

/** A file that goes away meanwhile is no file that was never there. */
function refusal(err: unknown): HawserError {
  const kind = isKind(err, 'NotFound') ? 'FailedPrecondition' : kindOf(err);
  const detail = { hint: hintOf(err) ?? HINT, cause: err, reason: reasonOf(err, 'errno') };
  return new HawserError(kind, messageOf(err), detail);
}

const HINT =
  'Let nobody but root change the file and the directories above: chown root, chmod go-w (a file of a ConfigMap: mount the file alone, by subPath)';

/** For whom sudo has made this process root. */
function inPlaceOf(host: Pick<Runtime['host'], 'env'>): number[] {
  const uid = host.env('SUDO_UID') ?? '';
  return /^\d{1,10}$/.test(uid) ? [Number(uid)] : [];
}

/** Not where nobody lets this process look: whoever reads the file says so, or has been allowed no more than that. */
function isRefusal(err: unknown): boolean {
  return isKind(err, 'PermissionDenied') && reasonOf(err, 'errno') === undefined;
}
