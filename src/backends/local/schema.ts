import { HawserError, reasonOf } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Database } from '../../core/ports/database.ts';
import type { Runtime } from '../../core/runtime.ts';
import { makeCopies } from './copies.ts';
import { number } from './rows.ts';

/** PRAGMA user_version of hawser.db. Raised when an older hawser would misuse the store. */
export const STORE_VERSION = 1;

/** Milliseconds that SQLite waits for another process's lock. The wait blocks the thread; Store.write waits longer. */
const BUSY_TIMEOUT = 50;
/** The same for a reader, which waits only while others recover or remove the log. */
const READ_TIMEOUT = 500;
/** Milliseconds for opening while others have the database locked, and between two tries. */
const OPEN_PATIENCE = 30_000;
const OPEN_PAUSE = 20;

/**
 * `labels.type` is the type of a lease resource (`content`, `images`, `snapshots/<snapshotter>`) or `leases`. `owner` names
 * the process that holds a row (owner.ts), null nobody. `doomed` lists files that a sweep is about to remove, `staging`
 * the ids of snapshot directories that have no snapshot yet. `snapshots.unsynced` is the boot and the mount under
 * which a layer was applied to the snapshot (write-mark.ts), null once the layer is durable; `syncing` names the processes
 * that run a sync.
 */
const SCHEMA = `
CREATE TABLE namespaces (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE labels (
  ns TEXT NOT NULL REFERENCES namespaces, type TEXT NOT NULL, id TEXT NOT NULL,
  key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (ns, type, id, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE blobs (
  ns TEXT NOT NULL REFERENCES namespaces, digest TEXT NOT NULL, size INTEGER NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  PRIMARY KEY (ns, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX blobs_by_digest ON blobs (digest);
CREATE TABLE ingests (
  ns TEXT NOT NULL REFERENCES namespaces, ref TEXT NOT NULL, dir TEXT NOT NULL UNIQUE,
  expected TEXT, total INTEGER NOT NULL, owner TEXT,
  started_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  PRIMARY KEY (ns, ref)
) STRICT, WITHOUT ROWID;
CREATE TABLE images (
  ns TEXT NOT NULL REFERENCES namespaces, name TEXT NOT NULL,
  digest TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER NOT NULL, annotations TEXT,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  PRIMARY KEY (ns, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE leases (
  ns TEXT NOT NULL REFERENCES namespaces, id TEXT NOT NULL, owner TEXT, created_at INTEGER NOT NULL,
  PRIMARY KEY (ns, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE lease_resources (
  ns TEXT NOT NULL, lease TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL,
  PRIMARY KEY (ns, lease, type, id),
  FOREIGN KEY (ns, lease) REFERENCES leases (ns, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE TABLE snapshots (
  id INTEGER PRIMARY KEY, ns TEXT NOT NULL REFERENCES namespaces,
  snapshotter TEXT NOT NULL, name TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('View', 'Active', 'Committed')),
  parent INTEGER REFERENCES snapshots (id), unsynced TEXT, owner TEXT NOT NULL,
  size INTEGER, inodes INTEGER,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  UNIQUE (ns, snapshotter, name)
) STRICT;
CREATE INDEX snapshots_by_parent ON snapshots (parent);
CREATE TABLE staging (id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL) STRICT;
CREATE TABLE doomed (path TEXT PRIMARY KEY, owner TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE generation (images INTEGER NOT NULL) STRICT;
INSERT INTO generation VALUES (0);
`;

/** Added to stores of format 1 that lack this table; an older hawser does not look at it. */
const SYNCING = 'CREATE TABLE IF NOT EXISTS syncing (owner TEXT PRIMARY KEY) STRICT, WITHOUT ROWID';

/** When the next collection is due, in milliseconds since the epoch; likewise added to stores of format 1. */
const DUE = 'CREATE TABLE IF NOT EXISTS due (at INTEGER NOT NULL) STRICT';

/** The max-size of a policy that no collection reaches, once the user was told; likewise added to stores of format 1. */
const UNMET = 'CREATE TABLE IF NOT EXISTS unmet (max_size INTEGER NOT NULL) STRICT';

/** Tables that a store of format 1 may lack, with that of copies.ts. */
const ADDED = ['syncing', 'due', 'unmet', 'copies'] as const;

function version(db: Database): number {
  const row = db.prepare('PRAGMA user_version').get();
  return row === undefined ? 0 : number(row, 'user_version');
}

function newerFormat(path: string, found: number): HawserError {
  return new HawserError(
    'FailedPrecondition',
    `Cannot open the store ${path}: it has format ${found}, this hawser knows formats up to ${STORE_VERSION}`,
    { hint: 'Use the newer hawser that made it, or another --root' },
  );
}

/** FailedPrecondition for a newer format. Returns the format. */
export function checkVersion(db: Database, path: string): number {
  const found = version(db);
  if (found > STORE_VERSION) throw newerFormat(path, found);
  return found;
}

function migrate(db: Database, path: string): void {
  const found = checkVersion(db, path);
  if (found !== STORE_VERSION) {
    db.exec(SCHEMA);
    db.exec(`PRAGMA user_version=${STORE_VERSION}`);
  }
  db.exec(SYNCING);
  db.exec(DUE);
  db.exec(UNMET);
  if (!hasAll(db, ['copies'])) makeCopies(db);
}

function hasAll(db: Database, tables: readonly string[]): boolean {
  const names = `(${tables.map((name) => `'${name}'`)})`;
  const row = db
    .prepare(`SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name IN ${names}`)
    .get();
  return row?.n === tables.length;
}

/**
 * Opens hawser.db for reading; nothing is made or written. An absent or empty file, `path` undefined, is a store without anything.
 * FailedPrecondition for a newer format.
 */
export async function openDatabaseToRead(
  runtime: Runtime,
  path: string | undefined,
  call?: Call,
): Promise<Database> {
  const db =
    path === undefined ? undefined : await patiently(runtime, () => openExisting(runtime, path), call);
  if (db !== undefined) return db;
  return emptyDatabase(runtime);
}

/** The tables without anything, in memory. */
export function emptyDatabase(runtime: Pick<Runtime, 'databases'>): Database {
  const empty = runtime.databases.open(':memory:', { busyTimeout: 0 });
  migrate(empty, ':memory:');
  return empty;
}

/** Undefined for an empty file. */
function openExisting(runtime: Runtime, path: string): Database | undefined {
  const db = runtime.databases.open(path, { busyTimeout: READ_TIMEOUT, access: 'read' });
  try {
    if (checkVersion(db, path) === STORE_VERSION) return db;
  } catch (err) {
    db.close();
    throw err;
  }
  db.close();
  return undefined;
}

function setUp(db: Database, path: string): void {
  db.exec('PRAGMA journal_mode=WAL');
  db.exec('PRAGMA synchronous=NORMAL');
  db.exec('PRAGMA foreign_keys=ON');
  const complete = version(db) === STORE_VERSION && hasAll(db, ADDED);
  if (!complete) db.transaction(() => migrate(db, path));
}

/** Opens hawser.db, or makes it. FailedPrecondition for a newer format. */
export async function openDatabase(runtime: Runtime, path: string, call?: Call): Promise<Database> {
  const open = (): Database => {
    const db = runtime.databases.open(path, { busyTimeout: BUSY_TIMEOUT });
    try {
      setUp(db, path);
      return db;
    } catch (err) {
      db.close();
      throw err;
    }
  };
  return await patiently(runtime, open, call);
}

/** Tries again while others have the database locked: Unavailable after OPEN_PATIENCE. SQLite does not wait for all locks itself. */
async function patiently<T>({ clock }: Runtime, open: () => T, call?: Call): Promise<T> {
  const end = clock.monotonic() + OPEN_PATIENCE;
  for (;;) {
    call?.signal?.throwIfAborted();
    try {
      return open();
    } catch (err) {
      if (reasonOf(err, 'locked') === undefined || clock.monotonic() >= end) throw err;
    }
    await clock.sleep(OPEN_PAUSE, call?.signal);
  }
}
