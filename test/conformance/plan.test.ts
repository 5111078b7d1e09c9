/** `pull --plan`: what it says is what a pull then does, and it does none of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderPlan, renderPlanJson } from '../../src/cli/render/plan.ts';
import { EXPANSION } from '../../src/core/layers/expanded-size.ts';
import { hostPlatform } from '../../src/core/platforms/host.ts';
import { parsePlatform } from '../../src/core/platforms/parse.ts';
import { parseReference } from '../../src/core/reference/parse.ts';
import { openRegistry } from '../../src/core/registry/open.ts';
import { type PullPlan, planPull } from '../../src/core/verbs/pull-plan.ts';
import { partsOf } from '../../src/entry/stores.ts';
import { fetch, pull, type Store } from '../../src/mod.ts';
import { buildImage, buildIndex, noise, type TestImage } from '../registry/image.ts';
import { sha256 } from '../registry/registry.ts';
import { rejectsWith, runtimeOf, withBench } from '../support/bench.ts';
import { needs } from '../support/needs.ts';

const OVERLAY = { skip: needs({ root: true }) };
const native = { snapshotter: 'native' };

async function plan(store: Store, ref: string, platforms?: readonly string[] | 'all'): Promise<PullPlan> {
  const { backend, runtime } = partsOf(store);
  const { transports, clock, hashers, codecs, host } = runtime;
  const registry = openRegistry({ transports, clock });
  const machine = hostPlatform(host);
  const wanted =
    typeof platforms === 'object' ? platforms.map((one) => parsePlatform(one, machine)) : platforms;
  const deps = { backend, registry, clock, hashers, codecs, hostPlatform: machine, cpus: 1 };
  try {
    return await planPull(deps, { reference: parseReference(ref), platforms: wanted, ...native });
  } finally {
    await registry[Symbol.asyncDispose]();
  }
}

const held = async (store: Store): Promise<string[]> =>
  (await store.content.list()).map(({ digest }) => digest as string).sort();
const missing = ({ blobs }: PullPlan): string[] =>
  blobs
    .filter(({ present }) => !present)
    .map(({ desc }) => desc.digest as string)
    .sort();

const image = (name: string, architecture: string): Promise<TestImage> =>
  buildImage({
    platform: { os: 'linux', architecture },
    layers: [
      { entries: [{ name: 'shared', data: 'shared' }] },
      { entries: [{ name, data: noise(5000, 7) }], compression: 'none' },
    ],
  });

test('plan: nothing but manifests and configs is fetched, and the store is as it was', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push(
      'a/b',
      'v1',
      buildIndex([await image('x', 'amd64'), await image('y', 'arm64')]),
    );
    const { name, root, blobs, unpacks } = await plan(store, ref, ['linux/amd64']);
    assert.equal(name, ref);
    assert.deepEqual(blobs[0]?.desc.digest, root.digest);
    assert.deepEqual(
      blobs.map(({ present }) => present),
      [false, false, false, false, false],
    );
    assert.equal(registry.log().length, 4, 'HEAD, index, manifest, config');
    const [small, large] = (await image('x', 'amd64')).layers;
    const size = Math.ceil((small?.size ?? 0) * EXPANSION) + (large?.size ?? 0);
    assert.deepEqual(unpacks, [{ platform: 'linux/amd64', layers: 2, ready: 0, size, guessed: 1 }]);
    assert.deepEqual(
      [
        await held(store),
        await store.leases.list(),
        await store.images.list(),
        await store.content.listStatuses(),
      ],
      [[], [], [], []],
    );
  });
});

test(
  'plan: a pull then fetches just what was planned, and the next plan has nothing left',
  OVERLAY,
  async () => {
    await withBench(async ({ store, registry }) => {
      const [x, y] = [await image('x', 'amd64'), await image('y', 'arm64')];
      const note = await buildImage({ layers: [], platform: { os: 'unknown', architecture: 'unknown' } });
      const untold = await Promise.all(['s390x', 'riscv64'].map((name) => image(name, name)));
      const rest = untold.map((one) => ({ ...one, platform: undefined }));
      const ref = registry.push('a/b', 'v1', buildIndex([x, note, ...rest, y]));
      for (const platforms of [['linux/arm64'], ['linux/amd64', 'linux/riscv64'], 'all'] as const) {
        const before = await held(store);
        const planned = await plan(store, ref, platforms);
        assert.deepEqual(await held(store), before);
        const { unpacked } = await pull(ref, { store, platforms, ...native });
        assert.deepEqual(
          (await held(store)).filter((digest) => !before.includes(digest)),
          missing(planned),
        );
        assert.deepEqual(
          planned.unpacks.map((one) => one.platform).sort(),
          unpacked.map((one) => one.platform).sort(),
        );
        const after = await plan(store, ref, platforms);
        assert.deepEqual(missing(after), []);
        assert.ok(after.unpacks.every(({ layers, ready, size }) => layers === ready && size === 0));
      }
    });
  },
);

test('plan: sizes that are known, by an annotation and by the end of a gzip blob that is here', async () => {
  await withBench(async ({ store, registry }) => {
    const tar = noise(4096, 3);
    const plain = await buildImage({ layers: [{ tar }] });
    const annotations = { 'io.containers.estargz.uncompressed-size': '12345' };
    const told = await buildImage({
      layers: [{ tar }],
      manifest: { layers: [{ ...plain.layers[0], annotations }] },
    });
    assert.deepEqual((await plan(store, registry.push('a/t', 'v1', told))).unpacks[0]?.size, 12345);
    const ref = registry.push('a/p', 'v1', plain);
    assert.equal((await plan(store, ref)).unpacks[0]?.guessed, 1);
    await fetch(ref, { store });
    const { guessed, size } = (await plan(store, ref)).unpacks[0] ?? {};
    assert.deepEqual([guessed, size], [0, 4096]);
  });
});

test('plan: its errors are those of pull, and documents are verified', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push(
      'a/b',
      'v1',
      buildIndex([await image('x', hostPlatform(runtimeOf(store).host).architecture)]),
    );
    await rejectsWith('NotFound', /no match for platform linux\/s390x/, plan(store, ref, ['linux/s390x']));
    const empty = { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256(noise(2)), size: 2 };
    const artifact = await buildImage({ layers: [], manifest: { config: empty } });
    await rejectsWith('FailedPrecondition', /artifact/, plan(store, registry.push('a/art', 'v1', artifact)));
    registry.faults.push({ match: '/manifests/sha256', corrupt: 3 });
    await rejectsWith('DataLoss', /Cannot fetch sha256:.*content is sha256:/, plan(store, ref));
    registry.faults.splice(0, 1, { match: '/manifests/sha256', overlong: 3 });
    await rejectsWith('DataLoss', /more than the \d+ bytes that it was said to have/, plan(store, ref));
    const old = new TextEncoder().encode('{"schemaVersion":1,"name":"a/s1","fsLayers":[],"history":[]}');
    registry.putManifest('a/s1', 'v1', 'application/vnd.docker.distribution.manifest.v1+json', old);
    await rejectsWith('NotImplemented', /schema 1/, plan(store, `${registry.host}/a/s1:v1`));
  });
});

test('plan: as text and as JSON', async () => {
  const digest = `sha256:${'a'.repeat(64)}` as PullPlan['root']['digest'];
  const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 2048 };
  const root = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 512 };
  const unpacks = [
    { platform: 'linux/amd64', layers: 3, ready: 1, size: 5120, guessed: 1 },
    { platform: 'linux/arm64', layers: 2, ready: 2, size: 0, guessed: 0 },
  ];
  const planned = {
    name: 'h/a:1',
    root,
    blobs: [
      { desc: root, present: true },
      { desc: layer, present: false },
    ],
    unpacks,
  };
  assert.deepEqual(renderPlan(planned).split('\n').slice(-6), [
    `layer    ${digest} 2.0 KiB to fetch `,
    'to download: 2.0 KiB in 1 blobs; present: 512.0 B in 1 blobs',
    'linux/amd64: 2 of 3 layers to unpack, about 5.0 KiB (1 sizes are known, 1 estimated at 2.5 times the compressed size)',
    'linux/arm64: all 2 layers are unpacked',
    'Only manifests and configs were read, and nothing was stored.',
    '',
  ]);
  const document = JSON.parse(renderPlanJson(planned));
  assert.deepEqual(
    [document.type, document.toDownload, document.present],
    ['plan', { blobs: 1, bytes: 2048 }, { blobs: 1, bytes: 512 }],
  );
});

test('plan: what a registry answers to HEAD is advice, as for a pull', async () => {
  await withBench(async ({ store, registry }) => {
    const built = await image('x', 'amd64');
    const ref = registry.push('a/b', 'v1', built);
    const size = built.root.bytes.length;
    for (const said of [size - 1, size + 1000, 7]) {
      registry.faults.push({ method: 'HEAD', headers: { 'Content-Length': `${said}` } });
      const { root, blobs } = await plan(store, ref, ['linux/amd64']);
      assert.equal(root.size, size);
      assert.equal(blobs.find(({ desc }) => desc.digest === root.digest)?.desc.size, size);
      assert.equal(blobs.length, 4);
      registry.faults.length = 0;
    }
    await fetch(ref, { store });
    assert.deepEqual(missing(await plan(store, ref, ['linux/amd64'])), []);
  });
});

test('plan: documents are asked for again as those of a pull are, from where they broke off', async () => {
  await withBench(async ({ store, registry }) => {
    const built = await image('x', 'amd64');
    const ref = registry.push('a/b', 'v1', buildIndex([built]));
    const manifest = built.root.digest;
    registry.faults.push(
      { match: manifest, cutAfter: 100, times: 1 },
      { match: manifest, status: 503, times: 1 },
    );
    assert.equal((await plan(store, ref, ['linux/amd64'])).blobs.length, 5);
    assert.equal(registry.traffic(manifest).requests, 3);
  });
});
