/** A survey foretells what a collection does: whatever the records, whatever lies around without one. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { LocalBackend } from '../../../src/backends/local/open.ts';
import { ifFound } from '../../../src/core/errors.ts';
import { nodeKey } from '../../../src/core/gc/graph.ts';
import { planCollection } from '../../../src/core/gc/survey.ts';
import { usageOf } from '../../../src/core/gc/usage.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import { seeded } from '../../registry/chaos.ts';
import { chosenSeed } from '../../support/seed.ts';
import {
  addBlob,
  bytesOf,
  close,
  digestOf,
  someBytes,
  type TestStore,
  withStore,
} from '../../support/stores.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const HOUR = 3_600_000;

const seed = chosenSeed();
const chance = seeded(seed);
const below = (limit: number): number => Math.floor(chance() * limit);
const some = <T>(items: readonly T[]): T | undefined => items[below(items.length)];

/** Everything that the namespaces have, as `namespace type id`, and the sizes of the files. */
async function everything(root: string, backends: readonly LocalBackend[]) {
  const found: string[] = [];
  for (const backend of backends) {
    const { namespaces } = await backend.survey();
    for (const { name, state, broken } of namespaces) {
      if (name !== backend.namespace) continue;
      for (const one of state.leases) found.push(`${name} leases ${one.id}`);
      for (const one of state.images) found.push(`${name} images ${one.name}`);
      for (const one of state.content) found.push(`${name} content ${one.digest}`);
      for (const one of state.ingests) found.push(`${name} ingests ${one.ref}`);
      for (const one of state.snapshots) found.push(`${name} snapshots/${one.snapshotter} ${one.name}`);
      for (const one of broken) found.push(`${name} ${one.type} ${one.id}`);
    }
  }
  return { records: found.sort(), bytes: contentBytes(root) };
}

function contentBytes(root: string): number {
  const names = fs.readdirSync(`${root}/content`, { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => /^(?:blobs\/.*|ingest\/[0-9a-f]{64}\/data)$/.test(name))
    .map((name) => fs.statSync(`${root}/content/${name}`))
    .filter((info) => info.isFile())
    .reduce((sum, { size }) => sum + size, 0);
}

async function addRandom(backend: LocalBackend, pool: readonly Uint8Array[]): Promise<void> {
  const leases = [];
  for (let n = below(3); n > 0; n--) {
    leases.push((await backend.leases.create({ expiresIn: some([0, HOUR]) ?? HOUR })).id);
  }
  const digests: string[] = [];
  for (const bytes of pool.filter(() => chance() < 0.6)) {
    const lease = some(leases);
    const child = some(digests);
    const labels: Record<string, string> = {};
    if (child !== undefined && chance() < 0.5) labels['containerd.io/gc.ref.content.0'] = child;
    if (chance() < 0.1) labels['containerd.io/gc.root'] = 'yes';
    const held = lease !== undefined && chance() < 0.3 ? { lease } : {};
    await addBlob(backend, bytes, { labels, ...held }).catch(async () => {
      await backend.content.label(digestOf(bytes), labels);
    });
    digests.push(digestOf(bytes));
  }
  for (let n = below(3); n > 0; n--) {
    const digest = some(digests);
    if (digest === undefined) break;
    const target = { mediaType: MANIFEST, digest: parseDigest(digest), size: 1 };
    const labels = chance() < 0.2 ? { 'containerd.io/gc.expire': '2020-01-01T00:00:00Z' } : {};
    await backend.images.put(`image-${n}`, target, labels);
  }
  await addPartial(backend, pool);
}

async function addPartial(backend: LocalBackend, pool: readonly Uint8Array[]): Promise<void> {
  const expected = some(pool) ?? bytesOf('x');
  if (chance() < 0.4) return;
  const want = { digest: digestOf(expected), size: expected.length };
  // Whoever has the blob already takes it at once.
  const ingest = await ifFound(backend.content.ingest('partial', want), 'AlreadyExists');
  if (ingest === undefined) return;
  await ingest.write(expected.subarray(0, expected.length - 1)).catch(() => {});
  await close(ingest);
}

/** Old ingests, lost records, files of nobody. */
function disturb({ root }: TestStore, pool: readonly Uint8Array[]): void {
  const db = new DatabaseSync(`${root}/hawser.db`);
  if (chance() < 0.5) {
    const at = Date.now() - 30 * HOUR;
    db.prepare('UPDATE ingests SET updated_at = ?').run(at);
    for (const { dir } of db.prepare('SELECT dir FROM ingests').all()) {
      fs.utimesSync(`${root}/${String(dir)}/data`, at / 1000, at / 1000);
    }
  }
  const lost = some(pool);
  if (lost !== undefined && chance() < 0.5)
    db.prepare('DELETE FROM blobs WHERE digest = ?').run(digestOf(lost));
  db.close();
}

test('what is foretold is what goes, to the byte, whatever the state', async () => {
  for (let round = 0; round < 40; round++) {
    await withStore(async (store) => {
      const pool = Array.from({ length: 8 }, () => someBytes(1 + below(2000)));
      const other = await store.open('other');
      for (const backend of [store.backend, other]) await addRandom(backend, pool);
      disturb(store, pool);
      const reader = await store.open('testing', true);
      const before = await everything(store.root, [store.backend, other]);
      const plan = planCollection(await reader.survey());
      assert.deepEqual(
        await everything(store.root, [store.backend, other]),
        before,
        'a survey changes nothing',
      );
      await store.backend.collect();
      const after = await everything(store.root, [store.backend, other]);
      const gone = new Set(plan.goes.map(({ namespace, type, id }) => `${namespace} ${type} ${id}`));
      const message = `seed ${seed}, round ${round}`;
      assert.deepEqual(
        after.records,
        before.records.filter((one) => !gone.has(one)),
        message,
      );
      assert.equal(before.bytes - after.bytes, plan.bytes, message);
      assert.deepEqual(
        plan.stays.map(({ namespace, type, id }) => `${namespace} ${type} ${id}`).sort(),
        after.records,
        message,
      );
      assert.equal(usageOf(await reader.survey()).reclaimable, 0, message);
    });
  }
});

test('why something stays: from the root to the thing', async () => {
  await withStore(async ({ backend }) => {
    const layer = await addBlob(backend, someBytes(10));
    const labels = { 'containerd.io/gc.ref.content.l.0': layer };
    const manifest = await addBlob(backend, someBytes(20), { labels });
    await backend.images.put('a', { mediaType: MANIFEST, digest: manifest, size: 20 }, {});
    const { id } = await backend.leases.create({ expiresIn: HOUR });
    const leased = await addBlob(backend, someBytes(30), { lease: id });
    const { stays } = planCollection(await backend.survey());
    const causeOf = (wanted: string) => stays.find((one) => one.id === wanted)?.cause;
    assert.deepEqual(causeOf(layer), {
      root: { type: 'image', id: 'a' },
      path: [
        { type: 'images', id: 'a' },
        { type: 'content', id: manifest },
        { type: 'content', id: layer },
      ],
    });
    assert.deepEqual(causeOf(leased)?.root, { type: 'lease', id });
  });
});

test('usage: what one image alone has, what two share, what a partial download takes', async () => {
  await withStore(async ({ backend }) => {
    const shared = await addBlob(backend, someBytes(100));
    const put = async (name: string, size: number) => {
      const labels = { 'containerd.io/gc.ref.content.l.0': shared };
      const digest = await addBlob(backend, someBytes(size), { labels });
      await backend.images.put(name, { mediaType: MANIFEST, digest, size }, {});
    };
    await put('a', 7);
    await put('b', 9);
    const ingest = await backend.content.ingest('part', { size: 50 });
    await ingest.write(someBytes(33));
    await close(ingest);
    const garbage = await addBlob(backend, someBytes(1000));
    const usage = usageOf(await backend.survey());
    assert.deepEqual(
      usage.images.map(({ name, content, unique, shared }) => [name, content, unique, shared]),
      [
        ['a', 107, 7, 100],
        ['b', 109, 9, 100],
      ],
    );
    assert.deepEqual(usage.content, { count: 4, bytes: 1116 });
    assert.deepEqual(usage.partial, { count: 1, bytes: 33 });
    assert.equal(usage.reclaimable, 1000);
    const [{ bytes } = { bytes: new Map() }] = (await backend.survey()).namespaces;
    assert.equal(bytes.get(nodeKey('content', garbage)), 1000);
  });
});
