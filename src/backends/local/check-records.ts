import { isKind, messageOf } from '../../core/errors.ts';
import { parseDigest } from '../../core/oci/digest.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Database, Row } from '../../core/ports/database.ts';
import type { Runtime } from '../../core/runtime.ts';
import { differingRow } from './copies.ts';
import { number, text } from './rows.ts';
import { emptyDatabase } from './schema.ts';
import type { Store } from './store.ts';

/** Tables of digests that others are looked up by. */
const DIGESTS = ['SELECT digest FROM blobs', 'SELECT digest FROM images'] as const;

/** What is wrong with the database: pages, references between rows, digests that are none. SQLite keeps no sums of its pages. */
export async function checkRecords({ db, runtime }: Store, call?: Call): Promise<string | undefined> {
  call?.signal?.throwIfAborted();
  try {
    return problemOf(runtime, db);
  } catch (err) {
    if (isKind(err, 'DataLoss', 'InvalidArgument')) return messageOf(err);
    throw err;
  }
}

/** Whether pages and indexes fit together (sqlite.org/pragma.html#pragma_integrity_check). */
function integrityProblem(db: Database): string | undefined {
  const row = db.prepare('PRAGMA integrity_check(1)').get();
  const said = row === undefined ? 'SQLite says nothing' : text(row, 'integrity_check');
  return said === 'ok' ? undefined : said;
}

/** What is wrong with a database that can be opened. DataLoss or InvalidArgument for some of that. */
export function problemOf(runtime: Pick<Runtime, 'databases'>, db: Database): string | undefined {
  const problem = integrityProblem(db);
  if (problem !== undefined) return problem;
  const row = db.prepare('PRAGMA foreign_key_check').get();
  if (row !== undefined)
    return `a row of ${text(row, 'table')} names one of ${text(row, 'parent')} that is not there`;
  const other = oddTable(runtime, db) ?? oddValue(db) ?? differingRow(db) ?? strayLabel(db);
  if (other !== undefined) return other;
  for (const select of DIGESTS) for (const one of db.prepare(select).all()) parseDigest(text(one, 'digest'));
  return undefined;
}

/**
 * A table that is not as this hawser makes it, or whose rows break its constraints: a database that is open to read says nothing of
 * these. A table that is absent may come with the next writer.
 */
function oddTable(runtime: Pick<Runtime, 'databases'>, db: Database): string | undefined {
  const model = emptyDatabase(runtime);
  try {
    for (const table of tablesOf(model)) {
      const made = madeBy(db, table);
      if (made === undefined) continue;
      const checks = checksOf(madeBy(model, table));
      if (describe(db, table) !== describe(model, table) || `${checksOf(made)}` !== `${checks}`)
        return `the table ${table} is not what it was`;
      const broken = checks.map((check) => `NOT (${check})`).join(' OR ');
      if (
        broken !== '' &&
        db.prepare(`SELECT 1 FROM ${quoted(table)} WHERE ${broken} LIMIT 1`).get() !== undefined
      )
        return `CHECK constraint failed in ${table}`;
    }
    return undefined;
  } finally {
    model.close();
  }
}

function madeBy(db: Database, table: string): string | undefined {
  const row = db.prepare("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?").get(table);
  return row === undefined ? undefined : text(row, 'sql');
}

/** The constraints of a table, each on a line of the table's text. */
function checksOf(made = ''): string[] {
  return [...made.matchAll(/\bCHECK \((.*)\)/g)].map(([, check = '']) => check);
}

function describe(db: Database, table: string): string {
  const parts = ['table_info', 'foreign_key_list'].map((pragma) =>
    db.prepare(`PRAGMA ${pragma}(${quoted(table)})`).all(),
  );
  return JSON.stringify(parts);
}

function tablesOf(db: Database): string[] {
  const tables = db.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite_*'",
  );
  return tables.all().map((row) => text(row, 'name'));
}

/** A value of another type than its column's: the tables are strict, so only damage brings one. */
function oddValue(db: Database): string | undefined {
  for (const table of tablesOf(db)) {
    const name = quoted(table);
    const columns = db.prepare(`PRAGMA table_info(${name})`).all();
    const isOdd = columns.map(oddIn).join(' OR ');
    if (db.prepare(`SELECT 1 FROM ${name} WHERE ${isOdd} LIMIT 1`).get() !== undefined)
      return `a row of ${name} has a value of a wrong type`;
  }
  return undefined;
}

function oddIn(column: Row): string {
  const type = `'${text(column, 'type').toLowerCase().replaceAll("'", "''")}'`;
  const allowed = number(column, 'notnull') === 0 ? `${type}, 'null'` : type;
  return `typeof(${quoted(text(column, 'name'))}) NOT IN (${allowed})`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Labels go with what they are of. */
function strayLabel(db: Database): string | undefined {
  const row = db
    .prepare(
      `SELECT type, id FROM labels AS l WHERE NOT CASE
         WHEN type = 'content' THEN EXISTS (SELECT 1 FROM blobs WHERE ns = l.ns AND digest = l.id)
         WHEN type = 'images' THEN EXISTS (SELECT 1 FROM images WHERE ns = l.ns AND name = l.id)
         WHEN type = 'leases' THEN EXISTS (SELECT 1 FROM leases WHERE ns = l.ns AND id = l.id)
         WHEN type = 'namespaces' THEN EXISTS (SELECT 1 FROM namespaces WHERE name = l.id)
         WHEN type LIKE 'snapshots/%' THEN
           EXISTS (SELECT 1 FROM snapshots WHERE ns = l.ns AND snapshotter = substr(l.type, 11) AND name = l.id)
         ELSE 0 END LIMIT 1`,
    )
    .get();
  return row === undefined
    ? undefined
    : `a label is of ${text(row, 'type')} ${text(row, 'id')}, which is not there`;
}
