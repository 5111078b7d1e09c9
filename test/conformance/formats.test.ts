/** Old, odd and other formats through the library's verbs (spec/remote.md 6.1 to 6.9, 7): what each comes to. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseReference } from '../../src/core/reference/parse.ts';
import { fetchImage } from '../../src/core/transfer/fetch.ts';
import { fetch, pull, type Store } from '../../src/mod.ts';
import { withClient } from '../registry/client.ts';
import { buildImage, buildIndex, type ImageDescription, type TestImage } from '../registry/image.ts';
import { sha256, startRegistry, type TestRegistry } from '../registry/registry.ts';
import { rejectsWith, withBench } from '../support/bench.ts';
import { needs } from '../support/needs.ts';
import { withStore } from '../support/stores.ts';

const OVERLAY = { skip: needs({ root: true }) };
const OCI = 'application/vnd.oci.image';
const SCHEMA1 = 'application/vnd.docker.distribution.manifest.v1';
const EMPTY = { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256(encode({})), size: 2 };

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

const image = (name: string, more: Partial<ImageDescription> = {}): Promise<TestImage> =>
  buildImage({ layers: [{ entries: [{ name: `only-${name}`, data: name }] }], ...more });
const platform = (architecture: string) => ({ os: 'linux', architecture });
const native = { snapshotter: 'native' };

async function held(store: Store): Promise<string[]> {
  return (await store.content.list()).map((info) => info.digest as string);
}

/** The names at the top of an unpacked image. */
async function tree(store: Store, chainId: string | undefined): Promise<string[]> {
  const [mount] = await store.snapshotter('native').view(`look ${chainId}`, chainId ?? '');
  return readdirSync(mount?.source ?? '').sort();
}

const golden = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(join(import.meta.dirname, '../fixtures/schema1', name)));
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
        [CONVERTED, `${OCI}.manifest.v1+json`, 652],
      );
      assert.deepEqual(await tree(store, unpacked[0]?.chainId), ['a', 'b']);
      const { labels } = await store.images.get(ref);
      assert.deepEqual(labels, { 'io.containerd.image/converted-docker-schema1': PAYLOAD });
      const blobs = await held(store);
      assert.equal(blobs.length, 4, 'neither the signed manifest nor the empty layer');
      const of = async (digest: string) => (await store.content.info(digest as never)).labels;
      assert.equal(
        (await of(CONVERTED))['containerd.io/gc.ref.content.l.1'],
        sha256(golden('layer-b.tar.gz')),
      );
      assert.ok(Object.keys(await of(CONVERTED)).every((key) => !key.includes('distribution.source')));
      const layer = await of(sha256(golden('layer-a.tar.gz')));
      assert.equal(layer['containerd.io/docker.schema1.empty-layer'], 'false');
      assert.equal(layer['containerd.io/distribution.source.127.0.0.1'], 't/s1');
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
    assert.deepEqual([await store.images.list(), await held(store)], [[], []]);
  });
});

test(
  'a config that is called octets is an image config all the same, under the digest it has',
  OVERLAY,
  async () => {
    await withBench(async ({ store, registry }) => {
      const plain = await image('x', { docker: true });
      const document = JSON.parse(new TextDecoder().decode(plain.root.bytes));
      const config = { ...document.config, mediaType: 'application/octet-stream' };
      const ref = registry.push('a/o', 'v1', await image('x', { docker: true, manifest: { config } }));
      const { target, unpacked } = await pull(ref, { store, ...native });
      assert.deepEqual(await tree(store, unpacked[0]?.chainId), ['only-x']);
      assert.equal(unpacked[0]?.platform, 'linux/amd64');
      assert.equal(registry.traffic(target.digest).requests, 1);
    });
  },
);

const inToto = encode({ _type: 'https://in-toto.io/Statement/v0.1' });

/** As BuildKit makes it. */
async function attestation(of: string, told = true): Promise<TestImage> {
  const digest = sha256(inToto);
  const layers = [{ mediaType: 'application/vnd.in-toto+json', digest, size: inToto.length }];
  const made = await buildImage({
    layers: [],
    platform: { os: 'unknown', architecture: 'unknown' },
    config: { rootfs: { type: 'layers', diff_ids: [sha256(inToto)] } },
    manifest: { layers, annotations: { 'vnd.docker.reference.digest': of } },
  });
  return {
    ...made,
    ...(told ? {} : { platform: undefined }),
    blobs: new Map([...made.blobs, [digest, inToto]]),
  };
}

for (const told of [true, false]) {
  test(
    `an attestation ${told ? '' : 'without platform '}is fetched with --all-platforms, and never unpacked`,
    OVERLAY,
    async () => {
      await withBench(async ({ store, registry }) => {
        const amd = await image('amd', { platform: platform('amd64') });
        const note = await attestation(amd.root.digest, told);
        const ref = registry.push('a/i', 'v1', buildIndex([note, amd]));
        const one = await pull(ref, { store, platforms: ['linux/amd64'], ...native });
        assert.deepEqual(one.unpacked.map((u) => u.platform), ['linux/amd64']); // biome-ignore format: one line
        assert.equal((await held(store)).includes(sha256(inToto)), !told);
        const all = await pull(ref, { store, platforms: 'all', ...native });
        assert.deepEqual(all.unpacked.map((u) => u.platform), ['linux/amd64']); // biome-ignore format: one line
        assert.ok((await held(store)).includes(sha256(inToto)));
      });
    },
  );
}

const artifact = async (): Promise<TestImage> => {
  const made = await buildImage({
    layers: [],
    manifest: {
      artifactType: 'application/x.chart',
      config: EMPTY,
      layers: [{ mediaType: 'application/x.chart.v1', digest: sha256(inToto), size: inToto.length }],
    },
  });
  return { ...made, platform: undefined, blobs: new Map([[EMPTY.digest, encode({})], [sha256(inToto), inToto]]) }; // biome-ignore format: one line
};

test('an artifact is fetched; pulling it says what it is and records nothing', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/art', 'v1', await artifact());
    await rejectsWith('FailedPrecondition', /it is an artifact, not an image \(its config is application\/vnd.oci.empty/, pull(ref, { store, ...native })); // biome-ignore format: one line
    assert.deepEqual(await store.images.list(), []);
    await fetch(ref, { store });
    assert.ok((await held(store)).includes(sha256(inToto)));
  });
});

test('an artifact beside an image in an index is fetched and left packed', OVERLAY, async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/i', 'v1', buildIndex([await artifact(), await image('x')]));
    for (const platforms of [['linux/amd64'], 'all'] as const) {
      const { unpacked } = await pull(ref, { store, platforms, ...native });
      assert.deepEqual(unpacked.map((u) => u.platform), ['linux/amd64']); // biome-ignore format: one line
    }
    const alone = registry.push('a/i', 'v2', buildIndex([await artifact()]));
    await rejectsWith('NotFound', /no match for platform linux\/amd64/, pull(alone, { store, platforms: ['linux/amd64'], ...native })); // biome-ignore format: one line
  });
});

test('without platforms in the index the configs tell', OVERLAY, async () => {
  await withBench(async ({ store, registry }) => {
    const untold = async (name: string) => ({
      ...(await image(name, { platform: platform(name) })),
      platform: undefined,
    });
    const ref = registry.push('a/i', 'v1', buildIndex([await untold('s390x'), await untold('arm64'), await untold('amd64')])); // biome-ignore format: one line
    const { unpacked } = await pull(ref, { store, platforms: ['linux/arm64'], ...native });
    assert.deepEqual(await tree(store, unpacked[0]?.chainId), ['only-arm64']);
    assert.equal(unpacked.length, 1);
    await rejectsWith('NotFound', /no match for platform linux\/riscv64/, pull(ref, { store, platforms: ['linux/riscv64'], ...native })); // biome-ignore format: one line
  });
});

test('an index in an index, and in one an entry of an unknown type', OVERLAY, async () => {
  await withBench(async ({ store, registry, events }) => {
    const inner = buildIndex([await image('arm64', { platform: platform('arm64') }), await image('amd64')]);
    const foreign = { mediaType: 'application/x.other', digest: sha256(inToto), size: inToto.length };
    const outer = buildIndex([inner]);
    const { manifests } = JSON.parse(new TextDecoder().decode(outer.root.bytes));
    const ref = registry.push('a/n', 'v1', buildIndex([inner], { manifests: [foreign, ...manifests] }));
    const onProgress = (event: (typeof events)[number]) => void events.push(event);
    const { unpacked } = await pull(ref, { store, platforms: ['linux/arm64'], onProgress, ...native });
    assert.deepEqual(await tree(store, unpacked[0]?.chainId), ['only-arm64']);
    assert.ok(events.some((e) => e.type === 'warning' && e.message.includes('application/x.other')));
    assert.equal(registry.traffic(foreign.digest).requests, 0);
  });
});

test('Docker types throughout, with a zstd layer', OVERLAY, async () => {
  await withBench(async ({ store, registry }) => {
    const layers = [{ entries: [{ name: 'z', data: 'z' }], compression: 'zstd' as const }];
    const made = await image('x', { docker: true, layers });
    assert.match(made.layers[0]?.mediaType ?? '', /diff\.tar\.zstd$/);
    const ref = registry.push('a/d', 'v1', made);
    assert.deepEqual(await tree(store, (await pull(ref, { store, ...native })).unpacked[0]?.chainId), ['z']);
  });
});

test('digests of sha384 and sha512, down to the layer', OVERLAY, async () => {
  await withBench(async ({ store, registry }) => {
    const made = await image('x');
    const by = (algorithm: string, bytes: Uint8Array) =>
      `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
    const document = JSON.parse(new TextDecoder().decode(made.root.bytes));
    const rename = (part: { digest: string }, algorithm: string): void => {
      const bytes = made.blobs.get(part.digest) ?? assert.fail();
      part.digest = by(algorithm, bytes);
      registry.putBlob('a/s', part.digest, bytes);
    };
    rename(document.config, 'sha384');
    rename(document.layers[0], 'sha512');
    const root = encode(document);
    registry.putManifest('a/s', 'v1', made.root.mediaType, root, by('sha512', root));
    const ref = `${registry.host}/a/s@${by('sha512', root)}`;
    const { target, unpacked } = await pull(ref, { store, ...native });
    assert.equal(target.digest, by('sha512', root));
    assert.deepEqual(await tree(store, unpacked[0]?.chainId), ['only-x']);
    registry.faults.push({ match: 'blobs/sha512', corrupt: 5 });
    registry.putManifest('a/s', 'v2', made.root.mediaType, root, by('sha384', root));
    await store.images.delete(ref);
    await store.collect();
    await rejectsWith('DataLoss', /sha512/, fetch(ref, { store }));
  });
});

test('an empty layer of no bytes needs no request', OVERLAY, async () => {
  await withBench(async ({ store, registry }) => {
    const layer = { mediaType: `${OCI}.layer.v1.tar`, digest: sha256(new Uint8Array()), size: 0 };
    const config = { rootfs: { type: 'layers', diff_ids: [layer.digest] } };
    const ref = registry.push('a/e', 'v1', await image('x', { config, manifest: { layers: [layer] } }));
    assert.deepEqual(await tree(store, (await pull(ref, { store, ...native })).unpacked[0]?.chainId), []);
    assert.equal(registry.traffic(layer.digest).requests, 0);
  });
});

test('what is asked of a registry: one HEAD, then each document and blob once', async () => {
  await withBench(async ({ store, registry }) => {
    const one = await image('one');
    const ref = registry.push('a/b', 'v1', one);
    const config = JSON.parse(new TextDecoder().decode(one.root.bytes)).config.digest;
    await fetch(ref, { store });
    const [head, manifest, ...blobs] = registry.log();
    assert.deepEqual([head, manifest], ['HEAD /a/b/manifests/v1', `GET /a/b/manifests/${one.root.digest}`]);
    assert.deepEqual(
      blobs.sort(),
      [config, one.layers[0]?.digest].map((digest) => `GET /a/b/blobs/${digest}`).sort(),
    );
    await fetch(ref, { store });
    assert.deepEqual(registry.log().slice(4), ['HEAD /a/b/manifests/v1']);
  });
});

test('--all-metadata: every manifest and config, layers of the wanted platform only', async () => {
  await withBench(async ({ store, registry }) => {
    const [amd, arm] = [await image('amd'), await image('arm', { platform: platform('arm') })];
    const ref = registry.push('a/i', 'v1', buildIndex([amd, arm, await attestation(amd.root.digest)]));
    await fetch(ref, { store, platforms: ['linux/arm/v7'], allMetadata: true });
    const count = (kind: string) =>
      registry.log().filter((line) => line.startsWith(`GET /a/i/${kind}`)).length;
    assert.deepEqual(
      [count('manifests'), count('blobs')],
      [4, 4],
      'index and 3 manifests; 3 configs, 1 layer',
    );
    assert.equal(registry.traffic(amd.layers[0]?.digest).requests, 0);
    assert.equal(registry.traffic(sha256(inToto)).requests, 0);
  });
});

test('--metadata-only: every manifest and config, no layer', async () => {
  const registry = await startRegistry();
  await withStore(async ({ backend, runtime }) => {
    const [amd, arm] = [await image('amd'), await image('arm', { platform: platform('arm') })];
    const note = await attestation(amd.root.digest);
    const ref = registry.push('a/i', 'v1', buildIndex([amd, arm, note]));
    const { target } = await withClient({}, async (client) => {
      const deps = { ...runtime, backend, registry: client, hostPlatform: platform('amd64'), cpus: 1 };
      return await fetchImage(deps, { reference: parseReference(ref), metadataOnly: true });
    });
    const config = ({ root }: TestImage): string =>
      JSON.parse(new TextDecoder().decode(root.bytes)).config.digest;
    const three = [amd, arm, note].flatMap((one) => [one.root.digest, config(one)]);
    const digests = (await backend.content.list()).map((info) => info.digest as string);
    assert.deepEqual(digests.sort(), [target.digest, ...three].sort());
  });
  await registry.close();
});

test('a source label that would be longer than 4096 bytes stays as it is, with a warning', async () => {
  await withBench(async ({ store, registry, events }) => {
    const made = await image('x');
    await fetch(registry.push('a/b', 'v1', made), { store });
    const digest = made.root.digest as never;
    const key = 'containerd.io/distribution.source.127.0.0.1';
    const long = Array.from(
      { length: 40 },
      (_, i) => `${String(i).padStart(3, '0')}/${'r'.repeat(96)}`,
    ).join();
    await store.content.label(digest, { [key]: long });
    await fetch(registry.push(`b/${'c'.repeat(30)}`, 'v1', made), {
      store,
      onProgress: (event) => void events.push(event),
    });
    assert.ok((await store.content.info(digest)).labels[key] === long);
    assert.ok(events.some((e) => e.type === 'warning' && e.message.includes('would be too long')));
  });
});
