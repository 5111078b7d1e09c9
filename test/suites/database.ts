/** What every database must do. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isKind, type Kind } from '../../src/core/errors.ts';
import type { Database, Databases } from '../../src/core/ports/database.ts';
import { tempDir } from '../support/tmp.ts';

const is = (kind: Kind) => (err: unknown) =>
  isKind(err, kind) || assert.fail(`want ${kind}, got ${String(err)}`);

export function databaseSuite(name: string, databases: Databases): void {
  const check = (title: string, body: (db: Database, path: string) => void) =>
    test(`database/${name}: ${title}`, () => {
      const dir = tempDir();
      const path = join(dir.path, 'test.db');
      const db = databases.open(path, { busyTimeout: 50 });
      try {
        body(db, path);
      } finally {
        db.close();
        dir[Symbol.dispose]();
      }
    });

  values(check);
  transactions(check, databases);
  files(check, databases);
  locks(check, databases);
}

type Check = (title: string, body: (db: Database, path: string) => void) => void;

function values(check: Check): void {
  check('every type of value comes back, integers as numbers while these are exact', (db) => {
    db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v)');
    const all = ['', 'text and ünïcode', 0, -1, 1.5, 2 ** 53 - 1, 2n ** 60n, -(2n ** 63n), null] as const;
    for (const value of all) db.prepare('INSERT INTO t (v) VALUES (?)').run(value);
    const rows = db.prepare('SELECT v FROM t ORDER BY id').all();
    assert.deepEqual(
      rows.map((row) => row.v),
      [...all],
    );
    db.prepare('INSERT INTO t (id, v) VALUES (?, ?)').run(100, Uint8Array.of(0, 255, 128));
    const blob = db.prepare('SELECT v FROM t WHERE id = ?').get(100)?.v as Uint8Array;
    assert.deepEqual([...blob], [0, 255, 128]);
    db.prepare('INSERT INTO t (id, v) VALUES (?, ?)').run(101, 7n);
    assert.equal(db.prepare('SELECT v FROM t WHERE id = ?').get(101)?.v, 7);
  });
  check('get of no row is undefined, all of none empty, run counts changes', (db) => {
    db.exec('CREATE TABLE t (v TEXT)');
    assert.equal(db.prepare('SELECT v FROM t').get(), undefined);
    assert.deepEqual(db.prepare('SELECT v FROM t').all(), []);
    const insert = db.prepare('INSERT INTO t (v) VALUES (?), (?)');
    assert.deepEqual(insert.run('a', 'b'), { changes: 2 });
    assert.deepEqual(db.prepare('UPDATE t SET v = ?').run('c'), { changes: 2 });
    assert.deepEqual(db.prepare('DELETE FROM t WHERE v = ?').run('x'), { changes: 0 });
  });
  check('a statement is compiled once a text, and works after many others', (db) => {
    const one = db.prepare('SELECT 1 AS one');
    assert.equal(db.prepare('SELECT 1 AS one'), one);
    for (let i = 0; i < 1000; i++) assert.equal(db.prepare(`SELECT ${i} AS n`).get()?.n, i);
    assert.equal(one.get()?.one, 1);
  });
  check('values are bound, never text of the statement', (db) => {
    db.exec('CREATE TABLE t (v TEXT)');
    const hostile = "'); DROP TABLE t; --";
    db.prepare('INSERT INTO t (v) VALUES (?)').run(hostile);
    assert.equal(db.prepare('SELECT v FROM t').get()?.v, hostile);
  });
  check('wrong SQL and broken constraints are Internal', (db) => {
    assert.throws(() => db.prepare('SELEC 1'), is('Internal'));
    db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)');
    assert.throws(() => db.prepare('INSERT INTO t VALUES (1)').run(), is('Internal'));
  });
  check('foreign keys are enforced, WAL and full synchronous are on', (db) => {
    assert.equal(db.prepare('PRAGMA journal_mode').get()?.journal_mode, 'wal');
    assert.equal(db.prepare('PRAGMA synchronous').get()?.synchronous, 2);
    db.exec('CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a REFERENCES a (id))');
    assert.throws(() => db.prepare('INSERT INTO b VALUES (5)').run(), is('Internal'));
  });
}

function transactions(check: Check, databases: Databases): void {
  check('a transaction commits, and rolls back when its work throws', (db) => {
    db.exec('CREATE TABLE t (v INTEGER)');
    const insert = db.prepare('INSERT INTO t VALUES (?)');
    assert.equal(
      db.transaction(() => insert.run(1).changes),
      1,
    );
    const broken = new Error('no');
    const failing = () => {
      insert.run(2);
      throw broken;
    };
    assert.throws(
      () => db.transaction(failing),
      (err) => err === broken,
    );
    assert.deepEqual(
      db
        .prepare('SELECT v FROM t')
        .all()
        .map((row) => row.v),
      [1],
    );
    db.transaction(() => insert.run(3));
    assert.equal(db.prepare('SELECT count(*) AS n FROM t').get()?.n, 2);
  });
  check('one in another is Internal, and undoes the outer', (db) => {
    db.exec('CREATE TABLE t (v INTEGER)');
    const nested = () => {
      db.exec('INSERT INTO t VALUES (1)');
      db.transaction(() => {});
    };
    assert.throws(() => db.transaction(nested), is('Internal'));
    assert.equal(db.prepare('SELECT count(*) AS n FROM t').get()?.n, 0);
    db.transaction(() => db.exec('INSERT INTO t VALUES (1)'));
  });
  check('two connections: readers go on, a second writer is Unavailable', (db, path) => {
    db.exec('CREATE TABLE t (v INTEGER)');
    const other = databases.open(path, { busyTimeout: 0 });
    try {
      db.transaction(() => {
        db.exec('INSERT INTO t VALUES (1)');
        assert.equal(other.prepare('SELECT count(*) AS n FROM t').get()?.n, 0);
        assert.throws(() => other.transaction(() => {}), is('Unavailable'));
      });
      assert.equal(other.prepare('SELECT count(*) AS n FROM t').get()?.n, 1);
      other.transaction(() => other.exec('INSERT INTO t VALUES (2)'));
    } finally {
      other.close();
    }
    assert.equal(db.prepare('SELECT count(*) AS n FROM t').get()?.n, 2);
  });
}

function locks(check: Check, databases: Databases): void {
  check('one opened for its lock alone stays empty, and locks out others', (_db, path) => {
    const file = `${path}.lock`;
    const [one, two] = [0, 0].map((busyTimeout) => databases.open(file, { busyTimeout, access: 'lock' }));
    one?.exec('BEGIN EXCLUSIVE');
    assert.throws(() => two?.exec('BEGIN EXCLUSIVE'), is('Unavailable'));
    assert.equal(statSync(file).size, 0);
    one?.close();
    two?.exec('BEGIN EXCLUSIVE');
    two?.close();
    assert.equal(statSync(file).size, 0);
  });
}

function files(check: Check, databases: Databases): void {
  check('its files are for the owner alone, whatever the umask', (db, path) => {
    db.exec('CREATE TABLE t (v)');
    for (const suffix of ['', '-wal', '-shm'])
      assert.equal(statSync(path + suffix).mode & 0o777, 0o600, `mode of ${suffix}`);
  });
  check('what was committed is there when opened again', (db, path) => {
    db.exec("CREATE TABLE t (v); INSERT INTO t VALUES ('kept')");
    const again = databases.open(path, { busyTimeout: 50 });
    assert.equal(again.prepare('SELECT v FROM t').get()?.v, 'kept');
    again.close();
  });
  check('a file that is no database is DataLoss and stays as it is', (_db, path) => {
    const other = `${path}.text`;
    const text = 'this is some text, and long enough to be looked at as a database header'.repeat(20);
    writeFileSync(other, text);
    assert.throws(() => databases.open(other, { busyTimeout: 0 }).close(), is('DataLoss'));
    assert.equal(readFileSync(other, 'utf8'), text);
  });
  check('a damaged page is DataLoss', (db, path) => {
    db.exec('CREATE TABLE t (v TEXT)');
    for (let i = 0; i < 100; i++) db.prepare('INSERT INTO t VALUES (?)').run(`${i} `.repeat(500));
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    const bytes = readFileSync(path);
    const copy = `${path}.copy`;
    writeFileSync(copy, bytes.fill(0xa5, 4096 + 8, bytes.length - 4096));
    const damaged = databases.open(copy, { busyTimeout: 0 });
    assert.throws(() => damaged.prepare('SELECT sum(length(v)) AS n FROM t').get(), is('DataLoss'));
    damaged.close();
  });
  check('a full file is ResourceExhausted', (db) => {
    db.exec('CREATE TABLE t (v TEXT); PRAGMA max_page_count = 8');
    const fill = () => db.prepare('INSERT INTO t VALUES (?)').run('x'.repeat(100_000));
    assert.throws(fill, is('ResourceExhausted'));
    assert.throws(() => db.transaction(fill), is('ResourceExhausted'));
    db.transaction(() => db.exec("INSERT INTO t VALUES ('small')"));
  });
  check('a path below nothing is NotFound, below a file and a directory FailedPrecondition', (_db, path) => {
    const opening = (where: string) => () => databases.open(where, { busyTimeout: 0 });
    assert.throws(opening(`${path}-absent/x.db`), is('NotFound'));
    assert.throws(opening(join(path, 'x.db')), is('FailedPrecondition'));
    assert.throws(opening(join(path, '..')), is('FailedPrecondition'));
  });
  check('a database opened to read makes nothing, refuses changes, and sees those of others', (db, path) => {
    const reading = (where: string) => databases.open(where, { busyTimeout: 0, access: 'read' });
    assert.throws(() => reading(`${path}-absent`), is('NotFound'));
    assert.equal(existsSync(`${path}-absent`), false);
    db.exec('CREATE TABLE t (v)');
    const reader = reading(path);
    const count = reader.prepare('SELECT count(*) AS n FROM t');
    for (let n = 0; n < 3; n++) {
      assert.equal(count.get()?.n, n);
      db.prepare('INSERT INTO t VALUES (?)').run(n);
    }
    assert.throws(() => reader.exec('INSERT INTO t VALUES (9)'), is('PermissionDenied'));
    reader.close();
  });
  check('a lock is seen by looking, without a change of the file', (_db, path) => {
    const file = `${path}.lock`;
    const holder = databases.open(file, { busyTimeout: 0, access: 'lock' });
    const look = () => {
      const looking = databases.open(file, { busyTimeout: 0, access: 'look' });
      try {
        return looking.prepare('SELECT count(*) AS n FROM sqlite_master').get()?.n;
      } finally {
        looking.close();
      }
    };
    assert.equal(look(), 0);
    holder.exec('BEGIN EXCLUSIVE');
    assert.throws(look, is('Unavailable'));
    holder.close();
    assert.equal(look(), 0);
    assert.equal(statSync(file).size, 0);
  });
  check('what may not be written is PermissionDenied', (db) => {
    db.exec('CREATE TABLE t (v); PRAGMA query_only = 1');
    assert.throws(() => db.exec('INSERT INTO t VALUES (1)'), is('PermissionDenied'));
  });
}
