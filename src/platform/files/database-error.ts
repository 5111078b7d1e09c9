import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  openSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { findError, HawserError, type Kind, messageOf, type Reason } from '../../core/errors.ts';
import { errnoError } from '../kernel/errno.ts';
import { fsError } from '../kernel/fs-error.ts';

/** What a primary result code means (sqlite.org/rescode.html). `look`: many causes, the file system knows which. */
const MEANING_BY_CODE: Readonly<Record<number, Kind | 'look'>> = {
  3: 'PermissionDenied',
  5: 'Unavailable',
  6: 'Unavailable',
  8: 'look',
  10: 'look',
  11: 'DataLoss',
  13: 'ResourceExhausted',
  14: 'look',
  23: 'PermissionDenied',
  26: 'DataLoss',
};

/** For runtimes that give only SQLite's message (Deno). */
const MEANING_BY_MESSAGE: readonly (readonly [RegExp, Kind | 'look'])[] = [
  [/database (table )?is locked|database schema is locked/i, 'Unavailable'],
  [/malformed|not a database/i, 'DataLoss'],
  [/disk is full/i, 'ResourceExhausted'],
  [/readonly database|unable to open|disk i\/o error/i, 'look'],
  [/access permission denied/i, 'PermissionDenied'],
];

const HINTS: Partial<Record<Kind, string>> = {
  Unavailable: 'Another process is changing the store; try again',
  DataLoss: 'The database file is damaged: hawser recover makes a new one from what is in content/',
  ResourceExhausted: 'Free some disk space: hawser images rm works on a full disk',
  PermissionDenied: 'Run as the user who owns the store, or choose another with --root',
};

const UNKNOWN = 'Check the directory, the limit of open files (ulimit -n) and the kernel log';

/** Bytes free below which SQLite cannot make the shared memory of its log (-shm). */
const SHM_ROOM = 64 << 10;

/** The error for a failure of SQLite. A broken constraint is `Internal`: our statements never break one. */
export function databaseError(path: string, doing: string, err: unknown): HawserError {
  const ours = findError(err);
  if (ours !== undefined) return ours;
  const code = (err as { errcode?: number }).errcode;
  const message = messageOf(err);
  const known = MEANING_BY_MESSAGE.find(([pattern]) => pattern.test(message))?.[1];
  const meaning = (code === undefined ? known : MEANING_BY_CODE[code & 0xff]) ?? 'Internal';
  const what = `Cannot ${doing} ${path}`;
  if ((err as { name?: unknown }).name === 'NotCapable') return fsError(err, what);
  if (meaning === 'look') {
    const found = cause(path, `${what}: ${message}`, err);
    if (found !== undefined) return found;
    if (/readonly/.test(message))
      return new HawserError('PermissionDenied', `${what}: ${message}`, { cause: err });
    if (/unable to open/.test(message))
      return new HawserError('Internal', `${what}: ${message}`, { cause: err, hint: UNKNOWN });
    return errnoError('EIO', `${what}: ${message}`, err);
  }
  const reason: Reason | undefined = meaning === 'Unavailable' ? { type: 'locked' } : undefined;
  return new HawserError(meaning, `${what}: ${message}`, { cause: err, hint: HINTS[meaning], reason });
}

/** Finds out why SQLite cannot open, write or grow a file. The file is not opened: closing it would drop our own locks on it. */
function cause(path: string, what: string, err: unknown): HawserError | undefined {
  const dir = dirname(path);
  try {
    requireDescriptor();
    const type = lstatSync(path, { throwIfNoEntry: false });
    if (type !== undefined && !type.isFile())
      return errnoError(type.isDirectory() ? 'EISDIR' : 'ELOOP', what, err);
    accessSync(dir, constants.W_OK);
    requireWritable(dir);
    if (type === undefined) return errnoError('ENOENT', what, err);
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch (found) {
    return fsError(found, what);
  }
  return isFull(dir) ? errnoError('ENOSPC', what, err) : undefined;
}

/** EMFILE or ENFILE. */
function requireDescriptor(): void {
  try {
    closeSync(openSync('/dev/null', constants.O_RDONLY));
  } catch (err) {
    if (['EMFILE', 'ENFILE'].includes(String((err as { code?: unknown }).code))) throw err;
  }
}

/**
 * EROFS: of a read-only mount, which Deno's access does not tell, and of an ext4 that stopped writing after an error, which no
 * access tells. Setting the mode that the directory has changes nothing.
 */
function requireWritable(dir: string): void {
  try {
    chmodSync(dir, statSync(dir).mode & 0o7777);
  } catch (err) {
    if ((err as { code?: string }).code === 'EROFS') throw err;
  }
}

/** False also where that is not known. */
export function isFull(dir: string): boolean {
  try {
    const { bavail, bfree, bsize } = statfsSync(dir);
    return bavail === 0 || bfree * bsize < SHM_ROOM;
  } catch {
    return false;
  }
}
