/** Rows are kept twice: what changes one of the two by other ways than SQL is found, whatever the table and the column. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { problemOf } from '../../../src/backends/local/check-records.ts';
import { differingKeys } from '../../../src/backends/local/copies.ts';
import { emptyDatabase } from '../../../src/backends/local/schema.ts';
import { isKind } from '../../../src/core/errors.ts';
import type { Database } from '../../../src/core/ports/database.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { addBlob, bytesOf, withStore } from '../../support/stores.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
/** A row of each table, in the order of the references. */
const ROWS = {
  namespaces: "INSERT INTO namespaces VALUES ('ns')",
  blobs: `INSERT INTO blobs VALUES ('ns', '${DIGEST}', 1, 2, 3)`,
  labels: `INSERT INTO labels VALUES ('ns', 'content', '${DIGEST}', 'k', 'v')`,
  ingests: "INSERT INTO ingests VALUES ('ns', 'r', 'd', NULL, 5, 'o', 6, 7)",
  images: `INSERT INTO images VALUES ('ns', 'n:1', '${DIGEST}', 'm', 1, NULL, 2, 3)`,
  leases: "INSERT INTO leases VALUES ('ns', 'l', NULL, 1)",
  lease_resources: `INSERT INTO lease_resources VALUES ('ns', 'l', 'content', '${DIGEST}')`,
  snapshots:
    "INSERT INTO snapshots VALUES (1, 'ns', 'overlayfs', 's', 'Active', NULL, NULL, 'o', NULL, NULL, 1, 2)",
} as const;

function withRows(body: (db: Database) => void): void {
  const db = emptyDatabase(bareRuntime());
  try {
    for (const sql of Object.values(ROWS)) db.exec(sql);
    body(db);
  } finally {
    db.close();
  }
}

/** As a flipped bit would: the copies stay as they are. */
function damage(db: Database, sql: string): void {
  const triggers = db.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all();
  for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
  db.exec(`PRAGMA foreign_keys = OFF; ${sql}`);
  for (const made of triggers) db.exec(`${made.sql}`);
}

test('rows that are made, changed, replaced and removed by SQL are as their copies', () => {
  withRows((db) => {
    const problem = (): string | undefined => problemOf(bareRuntime(), db);
    assert.equal(problem(), undefined);
    db.exec("UPDATE images SET size = 9, annotations = '{}'");
    db.exec(
      "INSERT OR REPLACE INTO labels VALUES ('ns', 'content', 'x', 'k', 'w'), ('ns', 'images', 'n:1', 'a', 'b')",
    );
    db.exec("UPDATE labels SET value = 'z', id = 'n:1', type = 'images' WHERE id = 'x'");
    db.exec("UPDATE snapshots SET id = 2, kind = 'Committed'");
    assert.equal(problem(), undefined);
    db.exec('PRAGMA foreign_keys = ON; DELETE FROM leases');
    assert.equal(
      db.prepare("SELECT 1 FROM copies WHERE of = 'lease_resources'").get(),
      undefined,
      'by a cascade',
    );
    assert.equal(problem(), undefined);
    for (const table of Object.keys(ROWS).reverse()) db.exec(`DELETE FROM ${table}`);
    assert.equal(db.prepare('SELECT 1 FROM copies').get(), undefined);
    assert.equal(problem(), undefined);
  });
});

for (const [table, insert] of Object.entries(ROWS)) {
  test(`a value of ${table} that is not as it was written is found, with its row`, () => {
    withRows((model) => {
      const columns = model.prepare(`PRAGMA table_info(${table})`).all();
      for (const { name, type } of columns) {
        withRows((db) => {
          const value = type === 'INTEGER' ? `coalesce(${name}, 0) + 1` : `coalesce(${name}, '') || 'x'`;
          const isConstrained = name === 'kind';
          damage(db, `UPDATE ${table} SET ${name} = ${isConstrained ? "'View'" : value}`);
          assert.notDeepEqual(differingKeys(db, table as keyof typeof ROWS), [], `${name}`);
          assert.notEqual(problemOf(bareRuntime(), db), undefined, `${name}`);
        });
      }
      damage(model, `DELETE FROM ${table}`);
      assert.equal(differingKeys(model, table as keyof typeof ROWS).length, 1, 'a row that is gone');
      damage(model, insert);
      damage(model, 'DELETE FROM copies');
      assert.equal(differingKeys(model, table as keyof typeof ROWS).length, 1, 'a copy that is gone');
    });
  });
}

test('triggers and copies that are not what they were are found', () => {
  const changes: readonly [string, RegExp][] = [
    ['DROP TRIGGER copy_changed_labels', /trigger copy_changed_labels/],
    ['DROP TABLE copies', /table copies/],
    ["UPDATE copies SET of = 'lables' WHERE of = 'labels'", /row of labels/],
    ["INSERT INTO copies VALUES ('lables', '[]', '[]')", /copy is of a table lables/],
  ];
  for (const [sql, expected] of changes) {
    withRows((db) => {
      db.exec(sql);
      assert.match(problemOf(bareRuntime(), db) ?? 'nothing', expected);
    });
  }
});

test('each bit of the header of a record: the store opens or says DataLoss, the records are told, the entry stays', async () => {
  await withStore(async ({ backend, open, root }) => {
    const name = 'h.io/lost:1';
    const digest = await addBlob(backend, bytesOf('{}'));
    await backend.images.put(name, { mediaType: 'a/b', digest, size: 2 }, {});
    await backend[Symbol.asyncDispose]();
    const path = `${root}/hawser.db`;
    const whole = readFileSync(path);
    const entry = readFileSync(`${root}/content/index.json`);
    const text = whole.indexOf(`${name}${digest}`);
    assert.ok(text > 0, 'the record was not found');
    for (let bit = 0; bit < 18 * 8; bit++) {
      const damaged = new Uint8Array(whole);
      const at = text - 1 - (bit >> 3);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (bit & 7));
      for (const file of ['hawser.db-wal', 'hawser.db-shm']) rmSync(`${root}/${file}`, { force: true });
      writeFileSync(path, damaged);
      const where = `byte ${-1 - (bit >> 3)}, bit ${bit & 7}`;
      const opened = await open().catch((err) => {
        assert.ok(isKind(err, 'DataLoss'), `${where}: ${String(err)}`);
        return undefined;
      });
      assert.deepEqual(readFileSync(`${root}/content/index.json`), entry, where);
      if (opened === undefined) continue;
      assert.notEqual(await opened.checkRecords?.(), undefined, where);
      await opened[Symbol.asyncDispose]();
    }
  });
});
