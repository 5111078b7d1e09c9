/** The ids of a user namespace (user_namespaces(7)). */

import type { Call } from '../ports/call.ts';
import type { FileSystem } from '../ports/file-system.ts';
import type { IdRange } from './owner-policy.ts';

const MAX_MAP_BYTES = 1 << 16;
/** Every id but 2^32-1, which means "no change" to chown(2). */
const ALL: readonly IdRange[] = [{ first: 0, count: 0xffffffff }];
const SHOWN_RANGES = 8;

/** Whom the kernel shows where a user namespace does not map the user (kernel.overflowuid). */
export const OVERFLOW_UID = 65534;

export interface IdMaps {
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
  /** False in the machine's own namespace, where root is root. */
  readonly isNamespace: boolean;
  /** Both maps as text: which ids outside are which inside. '' in the machine's own namespace. */
  readonly mapping: string;
}

/** `/proc/<pid>/uid_map`: first id inside, first id outside, how many. */
export function parseIdMap(text: string): IdRange[] {
  const ranges: IdRange[] = [];
  for (const line of text.split('\n')) {
    const [, first, count] = /^\s*(\d+)\s+\d+\s+(\d+)\s*$/.exec(line) ?? [];
    if (first !== undefined && count !== undefined) {
      ranges.push({ first: Number(first), count: Number(count) });
    }
  }
  return ranges;
}

export function isMapped(ranges: readonly IdRange[], id: number): boolean {
  return ranges.some(({ first, count }) => id >= first && id < first + count);
}

/** For messages: `0, 100000-165535`. */
export function formatIds(ranges: readonly IdRange[]): string {
  if (ranges.length === 0) return 'none';
  const shown = ranges
    .slice(0, SHOWN_RANGES)
    .map(({ first, count }) => (count === 1 ? `${first}` : `${first}-${first + count - 1}`));
  if (ranges.length > SHOWN_RANGES) shown.push('...');
  return shown.join(', ');
}

/**
 * The maps by the file system that read them. They do not change: a namespace's maps are written once, and a process with
 * threads cannot enter another user namespace (setns(2), unshare(2)).
 */
const known = new WeakMap<object, IdMaps>();

/** The maps of this process. Where /proc cannot be read (a sandbox), those of the machine's own namespace. */
export async function readIdMaps(fs: Pick<FileSystem, 'readFile'>, call?: Call): Promise<IdMaps> {
  const before = known.get(fs);
  if (before !== undefined) return before;
  try {
    const read = async (name: string): Promise<string> =>
      new TextDecoder().decode(await fs.readFile(`/proc/self/${name}`, MAX_MAP_BYTES, call));
    const [users, groups] = [await read('uid_map'), await read('gid_map')];
    const isNamespace = !/^\s*0\s+0\s+4294967295\s*$/.test(users);
    const mapping = isNamespace ? `${users}-\n${groups}`.replace(/ +/g, ' ') : '';
    const maps = { uids: parseIdMap(users), gids: parseIdMap(groups), isNamespace, mapping };
    if (maps.uids.length > 0 && maps.gids.length > 0) known.set(fs, maps);
    return maps;
  } catch {
    call?.signal?.throwIfAborted();
    return { uids: ALL, gids: ALL, isNamespace: false, mapping: '' };
  }
}
