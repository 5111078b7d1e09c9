/** Bits flipped in the database: what says something else than before is found by `verify`, and mended by `repair` or `recover`. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import {
  type Damage,
  isKind,
  openStore,
  pull,
  recover,
  repair,
  type Store,
  type VerifyReport,
  verify,
} from '../../src/mod.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { image } from '../support/bench.ts';
import { flipBit } from '../support/damage.ts';
import { needs } from '../support/needs.ts';
import { chosenSeed } from '../support/seed.ts';
import { tempDir } from '../support/tmp.ts';
import { random } from '../unit/archive/random.ts';

const FLIPS = Number(process.env.HAWSER_FLIPS ?? 30);

/** What the store is. Tables of what processes are about to do are not among these: nobody is at work. */
const FACTS = [
  'namespaces',
  'labels',
  'blobs',
  'ingests',
  'images',
  'leases',
  'lease_resources',
  'snapshots',
].map((table) => `SELECT * FROM ${table}`);

/** The rows that matter, as text; what keeps them from being read. */
function facts(root: string): string {
  try {
    const db = new DatabaseSync(join(root, 'hawser.db'), { readOnly: true });
    try {
      return FACTS.map((sql) => JSON.stringify(db.prepare(sql).all())).join('\n');
    } finally {
      db.close();
    }
  } catch (err) {
    return String(err);
  }
}

async function inStore<T>(root: string, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore({ root });
  try {
    return await work(store);
  } finally {
    await store[Symbol.asyncDispose]();
  }
}

const LOST: Damage = { type: 'records', problem: 'the store cannot be opened', images: [] };

/** A store that cannot be opened is as good as found. */
async function verdict(root: string): Promise<Pick<VerifyReport, 'damage' | 'unchecked'>> {
  try {
    return await inStore(root, (store) => verify({ store }));
  } catch (err) {
    assert.ok(isKind(err, 'DataLoss'), String(err));
    return { damage: [LOST], unchecked: [] };
  }
}

/** By recover where the records are in doubt, else by repair. Nothing is fetched but what was damaged. */
async function mend(
  root: string,
  damage: readonly Damage[],
  registry: TestRegistry,
  refs: readonly string[],
) {
  registry.requests.length = 0;
  if (damage.some(({ type }) => type === 'records')) {
    await recover({ root });
    assert.equal(registry.requests.length, 0);
  } else {
    await inStore(root, async (store) => {
      for (const ref of refs) {
        const { left } = await repair(ref, { store });
        if (left.length === 0) continue;
        // The record names another root, which no registry has: a pull asks for the tag.
        const { target } = await store.images.get(ref);
        assert.deepEqual(
          left.map(({ damage }) => damage.type === 'blob' && damage.digest),
          [target.digest],
        );
        await pull(ref, { store });
      }
    });
    const blobs = new Set<string>(damage.flatMap((one) => (one.type === 'blob' ? [one.digest] : [])));
    for (const { path } of registry.requests) {
      const digest = /sha256:[0-9a-f]{64}/.exec(path)?.[0];
      assert.ok(digest === undefined || blobs.has(digest), `${digest} was not damaged`);
    }
  }
  await inStore(root, async (store) => {
    const names = (await store.images.list()).map(({ name }) => name);
    assert.deepEqual(names.sort(), [...refs].sort());
    assert.deepEqual((await verify({ store })).damage, []);
  });
}

test('a bit flipped in the database is found where it changes what the store is, and mended', {
  skip: needs({ root: true }),
}, async (t) => {
  const seed = chosenSeed();
  t.diagnostic(`HAWSER_SEED=${seed}`);
  const next = random(seed);
  const dir = tempDir();
  const registry = await startRegistry();
  try {
    const [root, kept] = [join(dir.path, 'root'), join(dir.path, 'kept')];
    const refs = [registry.push('t/a', 'v1', await image('a')), registry.push('t/b', 'v1', await image('b'))];
    await inStore(root, async (store) => {
      for (const ref of refs) await pull(ref, { store });
    });
    fs.renameSync(root, kept);
    const before = facts(kept);
    const size = fs.statSync(join(kept, 'hawser.db')).size;
    const counts = { harmless: 0, found: 0, mended: 0 };
    for (let n = 0; n < FLIPS; n++) {
      fs.rmSync(root, { recursive: true, force: true });
      execFileSync('cp', ['-a', kept, root]);
      const flip = { path: join(root, 'hawser.db'), byte: next(size), bit: next(8) };
      flipBit(flip);
      const isChanged = facts(root) !== before;
      const { damage, unchecked } = await verdict(root);
      const isFound = damage.length + unchecked.length > 0;
      const where = `HAWSER_SEED=${seed}, byte ${flip.byte}, bit ${flip.bit}`;
      assert.ok(isFound || !isChanged, where);
      counts[isFound ? 'found' : 'harmless']++;
      if (damage.length === 0) continue;
      await mend(root, damage, registry, refs).catch((err: Error) => {
        throw new Error(`${where}: ${err.message}`, { cause: err });
      });
      counts.mended++;
    }
    t.diagnostic(JSON.stringify(counts));
  } finally {
    await registry.close();
    dir[Symbol.dispose]();
  }
});
