export type SqlValue = string | number | bigint | null | Uint8Array;
export type Row = Record<string, SqlValue>;

export interface Statement {
  run(...params: SqlValue[]): { changes: number };
  get(...params: SqlValue[]): Row | undefined;
  all(...params: SqlValue[]): Row[];
}

/** SQLite (node:sqlite in every runtime), synchronous. Busy beyond `busyTimeout` is Unavailable; a damaged file DataLoss. */
export interface Database {
  exec(sql: string): void;
  /** Compiles each text once and keeps the statement. */
  prepare(sql: string): Statement;
  /** BEGIN IMMEDIATE, then COMMIT, or ROLLBACK when `work` throws. Not nested. */
  transaction<T>(work: () => T): T;
  close(): void;
}

/**
 * `write`: makes the file when absent (mode 0600), with WAL, synchronous FULL and foreign keys.
 * `read`: makes and writes nothing, works on a read-only and on a full file system. Statements only read.
 * `lock`: makes the file; it serves for locks alone and is never written to, so `BEGIN EXCLUSIVE` leaves it empty.
 * `look`: of such a file, to see by a read whether somebody has it locked (Unavailable).
 */
export type DatabaseAccess = 'write' | 'read' | 'lock' | 'look';

export interface Databases {
  /** `busyTimeout` in milliseconds. Default access: `write`. */
  open(path: string, opts: { busyTimeout: number; access?: DatabaseAccess }): Database;
}
