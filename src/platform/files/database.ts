import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite';
import { HawserError } from '../../core/errors.ts';
import type {
  Database,
  DatabaseAccess,
  Databases,
  Row,
  SqlValue,
  Statement,
} from '../../core/ports/database.ts';
import { type Connection, connect } from './database-connection.ts';
import { databaseError } from './database-error.ts';

/** Most compiled statements that a database keeps. */
const KEPT_STATEMENTS = 256;
/** Most times that a read begins anew because somebody wrote meanwhile. */
const MAX_READS = 20;

/**
 * node:sqlite, loaded on first use. Integers come as numbers where these are exact, else as bigints.
 */
export function createDatabases(): Databases {
  return { open: (path, opts) => new SqliteDatabase(path, opts.access ?? 'write', opts.busyTimeout) };
}

class SqliteDatabase implements Database {
  readonly #path: string;
  readonly #connect: () => Connection;
  #connection: Connection;
  /** By text. */
  readonly #statements = new Map<string, Statement>();
  #inTransaction = false;

  constructor(path: string, access: DatabaseAccess, busyTimeout: number) {
    this.#path = path;
    this.#connect = () => connect(path, access, busyTimeout);
    this.#connection = this.#connect();
  }

  get #db(): DatabaseSync {
    return this.#connection.db;
  }

  exec(sql: string): void {
    this.#do('change the database', () => this.#db.exec(sql));
  }

  prepare(sql: string): Statement {
    const kept = this.#statements.get(sql);
    if (kept !== undefined) return kept;
    if (this.#statements.size >= KEPT_STATEMENTS) this.#statements.clear();
    const compiled = this.#read('prepare a statement for the database', () => this.#compile(sql));
    const unlocked = this.#connection.isStale !== undefined;
    const statement = unlocked ? this.#rereading(sql, compiled) : this.#once(compiled);
    this.#statements.set(sql, statement);
    return statement;
  }

  #compile(sql: string): StatementSync {
    const statement = this.#db.prepare(sql);
    statement.setReadBigInts(true);
    return statement;
  }

  /** Of a connection with locks, which lasts as long as the database. A pull runs thousands, so the way is short. */
  #once(compiled: StatementSync): Statement {
    const failed = (doing: string, err: unknown) => databaseError(this.#path, doing, err);
    return {
      run: (...params) => {
        try {
          return { changes: Number(compiled.run(...inputs(params)).changes) };
        } catch (err) {
          throw failed('change the database', err);
        }
      },
      get: (...params) => {
        try {
          const row = compiled.get(...inputs(params));
          return row === undefined ? undefined : toRow(row);
        } catch (err) {
          throw failed('read the database', err);
        }
      },
      all: (...params) => {
        try {
          return compiled.all(...inputs(params)).map(toRow);
        } catch (err) {
          throw failed('read the database', err);
        }
      },
    };
  }

  /** Of a connection without locks. `compiled`: for the present one. */
  #rereading(sql: string, compiled: StatementSync): Statement {
    const read = <T>(work: () => T): T => this.#read('read the database', work);
    let latest = compiled;
    let connection = this.#connection;
    const current = (): StatementSync => {
      if (connection !== this.#connection) {
        latest = this.#compile(sql);
        connection = this.#connection;
      }
      return latest;
    };
    return {
      run: (...params) => {
        const run = () => current().run(...inputs(params));
        return { changes: Number(this.#do('change the database', run).changes) };
      },
      get: (...params) => {
        const row = read(() => current().get(...inputs(params)));
        return row === undefined ? undefined : toRow(row);
      },
      all: (...params) => read(() => current().all(...inputs(params))).map(toRow),
    };
  }

  /** What was read without locks counts only if nobody wrote meanwhile; else it is read anew. */
  #read<T>(doing: string, work: () => T): T {
    for (let attempt = 1; ; attempt++) {
      try {
        const result = this.#do(doing, work);
        if (this.#connection.isStale?.() !== true) return result;
      } catch (err) {
        if (attempt === MAX_READS || this.#connection.isStale?.() !== true) throw err;
      }
      if (attempt === MAX_READS) {
        throw new HawserError(
          'Unavailable',
          `Cannot ${doing} ${this.#path}: others write to it all the time`,
        );
      }
      const next = this.#connect();
      this.#db.close();
      this.#connection = next;
    }
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
