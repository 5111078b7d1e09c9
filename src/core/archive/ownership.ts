/** The owner of an entry: checked before the entry is made, set or recorded after. */
import { display } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import { formatIds, isMapped } from '../users/id-map.ts';
import type { IdRange, OwnerPolicy } from '../users/owner-policy.ts';
import type { TarEntry } from './entry.ts';

export const RECORD_KEY = 'user.rootlesscontainers';

/**
 * FailedPrecondition when the entry's owner cannot be given, for the user namespace does not map it: nothing of the entry
 * is made then. A hard link has no owner of its own.
 */
export function checkOwner(policy: OwnerPolicy | undefined, entry: TarEntry): void {
  if (policy === undefined || policy.mode !== 'keep' || entry.type === 'hardlink') return;
  if (!isMapped(policy.uids, entry.uid)) throw notMapped('user', entry.uid, policy.uids, entry);
  if (!isMapped(policy.gids, entry.gid)) throw notMapped('group', entry.gid, policy.gids, entry);
}

function notMapped(what: 'user' | 'group', id: number, ids: readonly IdRange[], entry: TarEntry) {
  const letter = what === 'user' ? 'u' : 'g';
  return new HawserError(
    'FailedPrecondition',
    `it belongs to ${what} ${id}, which this user namespace does not map (/proc/self/${letter}id_map: ${formatIds(ids)})`,
    {
      hint: `Give the namespace more ids (a range in /etc/sub${letter}id, then unshare --map-root-user --map-auto), or unpack without owners: hawser unpack REF --rootfs DIR --owner record`,
      reason: { type: 'unmapped', owner: what, id, file: display(entry.name) },
    },
  );
}

/** The message of `user.rootlesscontainers`: varints uid (field 1) and gid (field 2), zeros left out. */
export function ownerRecord(uid: number, gid: number): Uint8Array {
  const bytes: number[] = [];
  const put = (tag: number, value: number): void => {
    if (value === 0) return;
    bytes.push(tag);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
    bytes.push(rest);
  };
  put(0x08, uid);
  put(0x10, gid);
  return Uint8Array.from(bytes);
}
