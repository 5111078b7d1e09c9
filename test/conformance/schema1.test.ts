/** Images in Docker's schema 1 through the library's verbs (spec/remote.md 6.9): what is stored, labelled and asked for. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { orAborted } from '../../src/core/async/abort.ts';
import { parseDigest } from '../../src/core/oci/digest.ts';
import { fetch, pull, type Store } from '../../src/mod.ts';
import { sha256, type TestRegistry } from '../registry/registry.ts';
import { altered, image, rejectsWith, withBench } from '../support/bench.ts';
import { needs } from '../support/needs.ts';
import { viewMounts } from '../support/snapshot-mounts.ts';

const OVERLAY = { skip: needs({ root: true }) };
const SCHEMA1 = 'application/vnd.docker.distribution.manifest.v1';
const native = { snapshotter: 'native' };

const golden = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(join(import.meta.dirname, '../fixtures/schema1', name)));
const [A, B] = ['layer-a', 'layer-b'].map((name) => sha256(golden(`${name}.tar.gz`)));
const CONFIG = 'sha256:d2312eadc990e14d1ee9a322de2a84807d259b3d02f82fcb13346ea178807a35';
const PAYLOAD = sha256(golden('payload.json'));
const CONVERTED = 'sha256:080e9abeb216a83651ed5731c6a3f598c095658654c58b46cb5a79788445a168';

function pushSchema1(registry: TestRegistry, signed: boolean): string {
  for (const name of ['layer-a', 'layer-b']) {
    const bytes = golden(`${name}.tar.gz`);
    registry.putBlob('t/s1', sha256(bytes), bytes);
  }
  const [type, file] = signed ? [`${SCHEMA1}+prettyjws`, 'served.json'] : [`${SCHEMA1}+json`, 'payload.json'];
  registry.putManifest('t/s1', 'latest', type, golden(file), PAYLOAD);
  return `${registry.host}/t/s1:latest`;
}

test(
  'schema 1: pulled as the OCI image that containerd makes of it; the second time nothing is fetched',
  OVERLAY,
  async () => {
    await withBench(async ({ store, registry }) => {
      const ref = pushSchema1(registry, true);
      const { target, unpacked } = await pull(ref, { store, ...native });
      assert.deepEqual(
        [target.digest, target.mediaType, target.size],
        [CONVERTED, 'application/vnd.oci.image.manifest.v1+json', 652],
      );
      const [mount] = await viewMounts(store.snapshotter('native'), 'look', unpacked[0]?.chainId ?? '');
      assert.deepEqual(readdirSync(mount?.source ?? '').sort(), ['a', 'b']);
      const { labels } = await store.images.get(ref);
      assert.deepEqual(labels, { 'io.containerd.image/converted-docker-schema1': PAYLOAD });
      assert.equal((await store.content.list()).length, 4, 'neither the signed manifest nor the empty layer');
      registry.requests.length = 0;
      assert.equal((await pull(ref, { store, ...native })).target.digest, CONVERTED);
      assert.deepEqual(registry.log(), ['HEAD /t/s1/manifests/latest', `GET /t/s1/manifests/${PAYLOAD}`]);
    });
  },
);

for (const [what, signed, fault] of [
  ['unsigned', false, {}],
  ['without a digest header', true, { noDigestHeader: true }],
  ['as text/plain', true, { contentType: 'text/plain' }],
] as const) {
  test(`schema 1 ${what} comes to the same image`, async () => {
    await withBench(async ({ store, registry }) => {
      const ref = pushSchema1(registry, signed);
      registry.faults.push({ match: '/manifests/', ...fault });
      assert.equal((await fetch(ref, { store })).target.digest, CONVERTED);
      assert.equal((await fetch(`${registry.host}/t/s1@${PAYLOAD}`, { store })).target.digest, CONVERTED);
    });
  });
}

test('schema 1 that is not what its digest says is refused, and nothing is recorded', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = pushSchema1(registry, true);
    const other = new TextDecoder().decode(golden('served.json')).replace('t/s1', 't/s2');
    registry.putManifest('t/s1', 'latest', `${SCHEMA1}+prettyjws`, new TextEncoder().encode(other), PAYLOAD);
    await rejectsWith('DataLoss', /schema 1 manifest .*without signature is sha256/, fetch(ref, { store }));
    assert.deepEqual([await store.images.list(), await store.content.list()], [[], []]);
  });
});

const labelsOf = async (store: Store, digest = '') => (await store.content.info(parseDigest(digest))).labels;

test('schema 1: a manifest of 8 000 000 bytes is read, a larger one is not asked for', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = pushSchema1(registry, true);
    const served = golden('served.json');
    const push = (size: number) => {
      const bytes = new Uint8Array(size).fill(0x20);
      bytes.set(served);
      registry.putManifest('t/s1', 'latest', `${SCHEMA1}+prettyjws`, bytes, PAYLOAD);
    };
    push(8_000_000);
    assert.equal((await fetch(ref, { store })).target.digest, CONVERTED);
    push(8_000_001);
    registry.requests.length = 0;
    await rejectsWith('ResourceExhausted', /more than 8000000 bytes/, fetch(ref, { store }));
    assert.deepEqual(registry.log(), ['HEAD /t/s1/manifests/latest']);
  });
});

test('schema 1: the labels are those that containerd 1.6 gives what it converts', async () => {
  await withBench(async ({ store, registry }) => {
    await fetch(pushSchema1(registry, true), { store });
    assert.deepEqual(await labelsOf(store, CONVERTED), {
      'containerd.io/gc.ref.content.0': CONFIG,
      'containerd.io/gc.ref.content.1': A,
      'containerd.io/gc.ref.content.2': B,
    });
    assert.deepEqual(await labelsOf(store, CONFIG), {}, 'no source: no registry has it');
    assert.deepEqual(await labelsOf(store, A), {
      'containerd.io/distribution.source.127.0.0.1': 't/s1',
      'containerd.io/docker.schema1.empty-layer': 'false',
      'containerd.io/uncompressed': 'sha256:6c9e5f16eac6d663c9f0f8b88789f726cb944cd356a24c5802e14cdd18121ec5',
    });
    await store.collect();
    assert.equal((await store.content.list()).length, 4);
  });
});

test('schema 1: what a layer is, is read from it once, and again if its labels are gone', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = pushSchema1(registry, true);
    await fetch(ref, { store });
    // What the image of the first conversion named is collected when the record moves.
    await store.content.label(parseDigest(A ?? ''), { 'containerd.io/gc.root': 'test' });
    const [diffId, empty] = [
      'containerd.io/uncompressed',
      'containerd.io/docker.schema1.empty-layer',
    ] as const;
    await store.content.label(parseDigest(A ?? ''), { [empty]: 'true' });
    const without = (await fetch(ref, { store })).target.digest;
    assert.notEqual(without, CONVERTED, 'the label is believed');
    assert.equal((await labelsOf(store, without))['containerd.io/gc.ref.content.1'], B);
    for (const gone of [{ [empty]: '' }, { [diffId]: '' }, { [empty]: '?' }, { [diffId]: '?' }]) {
      await store.content.label(parseDigest(A ?? ''), gone);
      assert.equal((await fetch(ref, { store })).target.digest, CONVERTED);
      assert.equal((await labelsOf(store, A))[empty], 'false');
    }
    assert.equal(registry.log().filter((line) => line === `GET /t/s1/blobs/${A}`).length, 1);
  });
});

test('schema 1: the record says where it comes from as long as that is so', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = pushSchema1(registry, true);
    const key = 'io.containerd.image/converted-docker-schema1';
    await fetch(ref, { store, labels: { team: 'deck' } });
    assert.deepEqual((await store.images.get(ref)).labels, { [key]: PAYLOAD, team: 'deck' });
    registry.push('t/s1', 'latest', await image('new'));
    await fetch(ref, { store });
    assert.deepEqual((await store.images.get(ref)).labels, { team: 'deck' });
  });
});

test('schema 1: layers are fetched as those of other images: tries and a stalled body have the limits of the verb', async () => {
  for (const [fault, retry, timeouts] of [
    [{ status: 503 }, { tries: 0 }, {}],
    [{ stall: 10 }, { tries: 0 }, { stall: 100 }],
  ] as const) {
    await withBench(async ({ store, registry }) => {
      const ref = pushSchema1(registry, true);
      registry.faults.push({ match: `/blobs/${A}`, method: 'GET', ...fault });
      await rejectsWith(
        'status' in fault ? 'Unavailable' : 'DeadlineExceeded',
        /./,
        orAborted(fetch(ref, { store, retry, timeouts }), AbortSignal.timeout(20_000)),
      );
      assert.equal(registry.log().filter((line) => line === `GET /t/s1/blobs/${A}`).length, 1);
    });
  }
});

test(
  'schema 1: what is only fetched needs no room to be unpacked, and what cannot fit is refused',
  OVERLAY,
  async () => {
    await withBench(async ({ store, registry }) => {
      const ref = pushSchema1(registry, true);
      const size = golden('layer-a.tar.gz').length + golden('layer-b.tar.gz').length;
      const withFree = (free: number) => altered(store, { space: async () => ({ free, total: 2 ** 40 }) });
      const tooLarge = /cannot fit: it takes at least .* to fetch, /;
      await rejectsWith('ResourceExhausted', tooLarge, fetch(ref, { store: withFree(size - 1) }));
      await rejectsWith('ResourceExhausted', /to fetch and unpack/, pull(ref, { store: withFree(size) }));
      for (const name of [A, B]) assert.ok(!(await held(store)).includes(name ?? ''));
      await fetch(ref, { store: withFree(size) });
    });
  },
);

const held = async (store: Store): Promise<string[]> =>
  (await store.content.list()).map(({ digest }) => digest as string);

test('schema 1: a manifest that breaks off is asked for again', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = pushSchema1(registry, true);
    const manifest = `/manifests/${PAYLOAD}`;
    registry.faults.push(
      { match: manifest, cutAfter: 100, times: 1 },
      { match: manifest, status: 503, times: 1 },
    );
    assert.equal((await fetch(ref, { store })).target.digest, CONVERTED);
    registry.faults.push({ match: manifest, status: 503, times: 1 });
    await rejectsWith('Unavailable', /503/, fetch(ref, { store, retry: { tries: 0 } }));
  });
});
