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
  /** Compiled once for each text and kept. */
  prepare(sql: string): Statement;
  /** BEGIN IMMEDIATE, then COMMIT, or ROLLBACK when `work` throws. Not nested. */
  transaction<T>(work: () => T): T;
  close(): void;
}

export interface Databases {
  /**
   * The file is made when absent (mode 0600). `busyTimeout` in milliseconds. With `lockOnly` the file is used for its
   * locks alone: nothing is written to it (no WAL), so `BEGIN EXCLUSIVE` leaves it empty.
   */
  open(path: string, opts: { busyTimeout: number; lockOnly?: boolean }): Database;
}
