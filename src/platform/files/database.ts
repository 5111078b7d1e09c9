import { closeSync, openSync } from 'node:fs';
import process from 'node:process';
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite';
import { findError, HawserError, type Kind, messageOf, type Reason, reasonOf } from '../../core/errors.ts';
import type { Database, Databases, Row, SqlValue, Statement } from '../../core/ports/database.ts';
import { fsError } from '../kernel/fs-error.ts';

/** Most compiled statements that a database keeps. */
const KEPT_STATEMENTS = 256;

const RETRY_MS = 10;

/** Primary result codes (sqlite.org/rescode.html). */
const KIND_BY_CODE: Readonly<Record<number, Kind>> = {
  3: 'PermissionDenied',
  5: 'Unavailable',
  6: 'Unavailable',
  8: 'PermissionDenied',
  11: 'DataLoss',
  13: 'ResourceExhausted',
  14: 'PermissionDenied',
  23: 'PermissionDenied',
  26: 'DataLoss',
};

/** For runtimes that give only SQLite's message (Deno). */
const KIND_BY_MESSAGE: readonly (readonly [RegExp, Kind])[] = [
  [/database (table )?is locked|database schema is locked/i, 'Unavailable'],
  [/malformed|not a database/i, 'DataLoss'],
  [/disk is full/i, 'ResourceExhausted'],
  [/readonly database|unable to open|access permission denied/i, 'PermissionDenied'],
];

const HINTS: Partial<Record<Kind, string>> = {
  Unavailable: 'Another process is changing the store; try again',
  DataLoss:
    'The database file is damaged; move it away and pull again (content on disk is kept and found again)',
  ResourceExhausted: 'Free some disk space',
  PermissionDenied: 'Run as the user who owns the store, or choose another with --root',
};

/** The error for a failure of SQLite. A broken constraint is `Internal`: our statements never break one. */
export function databaseError(path: string, doing: string, err: unknown): HawserError {
  const ours = findError(err);
  if (ours !== undefined) return ours;
  const code = (err as { errcode?: number }).errcode;
  const message = messageOf(err);
  const known = KIND_BY_MESSAGE.find(([pattern]) => pattern.test(message))?.[1];
  const kind = (code === undefined ? known : KIND_BY_CODE[code & 0xff]) ?? 'Internal';
  const reason: Reason | undefined = kind === 'Unavailable' ? { type: 'locked' } : undefined;
  return new HawserError(kind, `Cannot ${doing} ${path}: ${message}`, {
    cause: err,
    hint: HINTS[kind],
    reason,
  });
}

/**
 * node:sqlite, loaded on first use. Files are made with mode 0600; WAL, synchronous FULL, foreign keys on.
 * Integers come as numbers where these are exact, else as bigints.
 */
export function createDatabases(): Databases {
  return { open: (path, opts) => new SqliteDatabase(path, opts.busyTimeout, opts.lockOnly === true) };
}

class SqliteDatabase implements Database {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, Statement>();
  #inTransaction = false;

  constructor(path: string, busyTimeout: number, lockOnly: boolean) {
    this.#path = path;
    this.#db = this.#do('open the database', () => {
      const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
      createPrivate(path);
      return new DatabaseSync(path);
    });
    try {
      this.exec(`PRAGMA busy_timeout = ${Math.trunc(busyTimeout)}`);
      if (lockOnly) {
        this.exec('PRAGMA journal_mode = MEMORY');
        return;
      }
      // Changing to WAL does not wait as other statements do.
      this.#retry(busyTimeout, () => this.exec('PRAGMA journal_mode = WAL'));
      this.exec('PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
    } catch (err) {
      this.close();
      throw err;
    }
  }

  exec(sql: string): void {
    this.#do('change the database', () => this.#db.exec(sql));
  }

  prepare(sql: string): Statement {
    const kept = this.#statements.get(sql);
    if (kept !== undefined) return kept;
    if (this.#statements.size >= KEPT_STATEMENTS) this.#statements.clear();
    const statement = this.#wrap(
      this.#do('prepare a statement for the database', () => this.#db.prepare(sql)),
    );
    this.#statements.set(sql, statement);
    return statement;
  }

  #wrap(statement: StatementSync): Statement {
    statement.setReadBigInts(true);
    const read = <T>(work: () => T): T => this.#do('read the database', work);
    return {
      run: (...params) => {
        const { changes } = this.#do('change the database', () => statement.run(...inputs(params)));
        return { changes: Number(changes) };
      },
      get: (...params) => {
        const row = read(() => statement.get(...inputs(params)));
        return row === undefined ? undefined : toRow(row);
      },
      all: (...params) => read(() => statement.all(...inputs(params))).map(toRow),
    };
  }

  transaction<T>(work: () => T): T {
    if (this.#inTransaction)
      throw new HawserError('Internal', 'A database transaction was started inside another');
    this.prepare('BEGIN IMMEDIATE').run();
    this.#inTransaction = true;
    try {
      const result = work();
      this.prepare('COMMIT').run();
      return result;
    } catch (err) {
      // SQLite has rolled back by itself after some failures (a full disk).
      try {
        this.#db.exec('ROLLBACK');
      } catch {}
      throw err;
    } finally {
      this.#inTransaction = false;
    }
  }

  close(): void {
    this.#statements.clear();
    this.#do('close the database', () => this.#db.close());
  }

  #do<T>(doing: string, work: () => T): T {
    try {
      return work();
    } catch (err) {
      throw databaseError(this.#path, doing, err);
    }
  }

  #retry(forMs: number, work: () => void): void {
    const end = performance.now() + forMs;
    for (;;) {
      try {
        work();
        return;
      } catch (err) {
        if (reasonOf(err, 'locked') === undefined || performance.now() >= end) throw err;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
      }
    }
  }
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
    if ((err as { code?: string }).code !== 'EEXIST') throw fsError(err, `making the database ${path}`);
  }
}

/** node:sqlite binds numbers that are whole as integers, others as reals. */
function inputs(params: readonly SqlValue[]): SQLInputValue[] {
  return params as SQLInputValue[];
}

function toRow(row: Record<string, SQLOutputValue>): Row {
  for (const [key, value] of Object.entries(row)) {
    if (typeof value !== 'bigint') continue;
    const number = Number(value);
    if (Number.isSafeInteger(number)) row[key] = number;
  }
  return row as Row;
}
