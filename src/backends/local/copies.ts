/**
 * Each row that counts is kept twice, as SQLite keeps no sums of its pages: a bit that flipped in the row or in the copy is found.
 * Triggers write the copies, so that an older hawser keeps them up, too.
 */
import type { Database } from '../../core/ports/database.ts';
import { number, text } from './rows.ts';

/** Tables whose rows outlive the process that wrote them. */
const COPIED = [
  'namespaces',
  'labels',
  'blobs',
  'ingests',
  'images',
  'leases',
  'lease_resources',
  'snapshots',
] as const;

const TABLE =
  'CREATE TABLE copies (of TEXT NOT NULL, key TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (of, key)) STRICT, WITHOUT ROWID';

/** `of` is a row's table; the key and the row are arrays of JSON. */
export function makeCopies(db: Database): void {
  db.exec(TABLE);
  for (const table of COPIED) {
    for (const sql of triggersOf(db, table).values()) db.exec(sql);
    db.exec(`INSERT INTO copies ${rowsOf(db, table)}`);
  }
}

/** By name. A hawser that writes others must raise the format of the store: an older one takes them for damaged. */
function triggersOf(db: Database, table: string): Map<string, string> {
  const { key, all } = columnsOf(db, table);
  const put = `INSERT OR REPLACE INTO copies VALUES ('${table}', ${list(key, 'NEW.')}, ${list(all, 'NEW.')})`;
  const drop = `DELETE FROM copies WHERE of = '${table}' AND key = ${list(key, 'OLD.')}`;
  const trigger = (name: string, when: string, what: string): [string, string] => [
    `copy_${name}_${table}`,
    `CREATE TRIGGER copy_${name}_${table} AFTER ${when} ON ${table} BEGIN ${what}; END`,
  ];
  return new Map([
    trigger('new', 'INSERT', put),
    trigger('changed', 'UPDATE', `${drop}; ${put}`),
    trigger('gone', 'DELETE', drop),
  ]);
}

/** What is wrong with rows or copies. Nothing is known of a store that was only read since an older hawser made it. */
export function differingRow(db: Database): string | undefined {
  const made = new Map(
    db
      .prepare("SELECT name, sql FROM sqlite_master WHERE name GLOB 'copy_*' OR name = 'copies'")
      .all()
      .map((row) => [text(row, 'name'), text(row, 'sql')]),
  );
  if (made.size === 0) return undefined;
  if (made.get('copies') !== TABLE) return 'the table copies is not what it was';
  for (const table of COPIED) {
    for (const [name, sql] of triggersOf(db, table))
      if (made.get(name) !== sql) return `the trigger ${name} is not what it was`;
    const [found] = differingKeys(db, table);
    if (found !== undefined) return `a row of ${table} is not as it was written: ${found}`;
  }
  const stray = db.prepare(`SELECT of FROM copies WHERE of NOT IN (${COPIED.map(quoted)}) LIMIT 1`).get();
  return stray === undefined ? undefined : `a copy is of a table ${text(stray, 'of')}, which is not there`;
}

/** Keys, as JSON, of rows and of copies that have not their like. */
export function differingKeys(db: Database, table: (typeof COPIED)[number]): string[] {
  const rows = rowsOf(db, table);
  const copies = `SELECT of, key, row FROM copies WHERE of = ${quoted(table)}`;
  const differing = (one: string, other: string): string[] =>
    db
      .prepare(`SELECT key FROM (${one} EXCEPT ${other})`)
      .all()
      .map((row) => text(row, 'key'));
  return [...differing(rows, copies), ...differing(copies, rows)];
}

function quoted(word: string): string {
  return `'${word}'`;
}

function rowsOf(db: Database, table: string): string {
  const { key, all } = columnsOf(db, table);
  return `SELECT '${table}' AS of, ${readable(key)} AS key, ${readable(all)} AS row FROM ${table}`;
}

function list(columns: readonly string[], row = ''): string {
  return `json_array(${columns.map((column) => row + column).join(', ')})`;
}

/** Of rows that may be damaged: JSON has no form for the bytes that damage makes of a text. */
function readable(columns: readonly string[]): string {
  return list(columns.map((column) => `iif(typeof(${column}) = 'blob', quote(${column}), ${column})`));
}

function columnsOf(db: Database, table: string): { readonly key: string[]; readonly all: string[] } {
  const info = db.prepare(`PRAGMA table_info(${table})`).all();
  const names = (rows: typeof info): string[] => rows.map((row) => `"${text(row, 'name')}"`);
  return { key: names(info.filter((row) => number(row, 'pk') > 0)), all: names(info) };
}
