import { closeSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import process from 'node:process';
import type { DatabaseSync } from 'node:sqlite';
import { isKind, reasonOf } from '../../core/errors.ts';
import type { DatabaseAccess } from '../../core/ports/database.ts';
import { mayDoAll, requireGranted } from '../kernel/deno-permission.ts';
import { fsError } from '../kernel/fs-error.ts';
import { monotonic } from '../kernel/monotonic.ts';
import { databaseError } from './database-error.ts';

/** Milliseconds between two tries to change to WAL. */
const RETRY_MS = 10;

export interface Connection {
  readonly db: DatabaseSync;
  /**
   * Whether somebody has written to the files since the connection was made without locks: what was read may be torn. Undefined
   * with locks: never.
   */
  readonly isStale?: () => boolean;
}

/**
 * `write`: WAL, synchronous FULL, foreign keys. `lock`: no log. `read` and `look`: nothing is made or written.
 */
export function connect(path: string, access: DatabaseAccess, busyTimeout: number): Connection {
  checkAllowed(path, access);
  if (access === 'read' && path !== ':memory:') return connectToRead(path, busyTimeout);
  const steps = {
    write: ['PRAGMA journal_mode = WAL', 'PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON'],
    lock: ['PRAGMA journal_mode = MEMORY'],
    look: [],
    read: [],
  }[access];
  const readOnly = access === 'look';
  if (!readOnly) createPrivate(path);
  const attempt = (...first: string[]): Connection => ({
    db: opened(path, path, readOnly, busyTimeout, [...first, ...steps]),
  });
  try {
    return attempt();
  } catch (err) {
    // Without room for shared memory the log's index is kept in this process's; then nobody else may use the database.
    if (access !== 'write' || !isKind(err, 'ResourceExhausted')) throw err;
    return attempt('PRAGMA locking_mode = EXCLUSIVE');
  }
}

function checkAllowed(path: string, access: DatabaseAccess): void {
  if (path === ':memory:') return;
  const doing = `Cannot open the database ${path}`;
  requireGranted({ name: 'read', path }, doing);
  if (access === 'write' || access === 'lock') requireGranted({ name: 'write', path }, doing);
}

/**
 * Where nobody writes, the files are read without locks, and after each read it is looked at whether that stayed so: the file
 * alone when there is no log (-wal), else with the log, whose index is then kept in this process's memory. Beside writers, who
 * share such an index (-shm), SQLite reads as usual; on a read-only file system that needs the former, too.
 */
function connectToRead(path: string, busyTimeout: number): Connection {
  const check = 'SELECT count(*) FROM sqlite_master';
  const plain = (): Connection => ({
    db: opened(path, path, true, busyTimeout, [check]),
  });
  // Deno takes the URLs below only from programs that may do everything.
  if (!mayDoAll()) return plain();
  const state = stateOf(path);
  const isStale = (): boolean => stateOf(path) !== state;
  const fixed = (query: string, ...steps: string[]): Connection => ({
    db: opened(path, `${urlOf(path)}?${query}`, true, busyTimeout, [...steps, check]),
    isStale,
  });
  if (!state.includes('wal')) return fixed('immutable=1');
  const alone = (): Connection => fixed('mode=ro&vfs=unix-none', 'PRAGMA locking_mode = EXCLUSIVE');
  if (statSync(`${path}-shm`, { throwIfNoEntry: false }) === undefined) return alone();
  try {
    return plain();
  } catch (err) {
    if (reasonOf(err, 'locked') !== undefined || isKind(err, 'DataLoss')) throw err;
    return alone();
  }
}

function opened(
  path: string,
  location: string,
  readOnly: boolean,
  busyTimeout: number,
  steps: readonly string[],
): DatabaseSync {
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
  try {
    const db = new DatabaseSync(location, { readOnly });
    try {
      db.exec(`PRAGMA busy_timeout = ${Math.trunc(busyTimeout)}`);
      for (const step of steps) retry(busyTimeout, path, () => db.exec(step));
      return db;
    } catch (err) {
      db.close();
      throw err;
    }
  } catch (err) {
    throw databaseError(path, 'open the database', err);
  }
}

/** Changing to WAL does not wait as other statements do. */
function retry(forMs: number, path: string, work: () => void): void {
  const end = monotonic() + forMs;
  for (;;) {
    try {
      work();
      return;
    } catch (err) {
      const failure = databaseError(path, 'open the database', err);
      if (reasonOf(failure, 'locked') === undefined || monotonic() >= end) throw failure;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}

/** Changes with every transaction: inode, size and time of the file and of a log that is not empty. */
function stateOf(path: string): string {
  const parts: string[] = [];
  for (const [name, file] of [
    ['db', path],
    ['wal', `${path}-wal`],
  ] as const) {
    const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
    if (stat !== undefined && (name === 'db' || stat.size > 0n)) {
      parts.push(`${name} ${stat.ino} ${stat.size} ${stat.mtimeNs}`);
    }
  }
  return parts.join(' ');
}

function urlOf(path: string): string {
  return `file://${path.split('/').map(encodeURIComponent).join('/')}`;
}

/**
 * Makes the file with mode 0600; SQLite would make it readable by all. Never opens an existing file: closing it would drop
 * the locks that another connection of this process has on it.
 */
function createPrivate(path: string): void {
  if (path === ':memory:') return;
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (err) {
    const { code } = err as { code?: string };
    if (code !== 'EEXIST') throw fsError(err, `making the database ${path} in ${dirname(path)}`);
  }
}
