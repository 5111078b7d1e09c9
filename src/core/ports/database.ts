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

export interface Databases {
  /**
   * Makes the file when absent (mode 0600). `busyTimeout` in milliseconds. With `lockOnly` the file serves for locks alone:
   * it is never written to (no WAL), so `BEGIN EXCLUSIVE` leaves it empty.
   */
  open(path: string, opts: { busyTimeout: number; lockOnly?: boolean }): Database;
}
