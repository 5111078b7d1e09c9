/** Odd and other formats through the library's verbs (spec/remote.md 6.1 to 6.9, 7): what each comes to. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fetch, pull, type Store, unpack } from '../../src/mod.ts';
import { buildImage, buildIndex, type ImageDescription, type TestImage } from '../registry/image.ts';
import { sha256 } from '../registry/registry.ts';
import { rejectsWith, withBench } from '../support/bench.ts';
import { needs } from '../support/needs.ts';
import { viewMounts } from '../support/snapshot-mounts.ts';

const OVERLAY = { skip: needs({ root: true }) };
const OCI = 'application/vnd.oci.image';
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
  const [mount] = await viewMounts(store.snapshotter('native'), `look ${chainId}`, chainId ?? '');
  return readdirSync(mount?.source ?? '').sort();
}

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
        assert.ok(!(await held(store)).includes(sha256(inToto)));
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

const untold = async (name: string, architecture = name, variant?: string): Promise<TestImage> => ({
  ...(await image(name, { platform: { ...platform(architecture), ...(variant && { variant }) } })),
  platform: undefined,
});

test(
  'without platforms in the index the configs tell; only the layers of what is wanted are fetched',
  OVERLAY,
  async () => {
    await withBench(async ({ store, registry }) => {
      const images = [await untold('s390x'), await untold('arm64'), await untold('amd64')];
      const ref = registry.push('a/i', 'v1', buildIndex(images));
      const { unpacked } = await pull(ref, { store, platforms: ['linux/arm64'], ...native });
      assert.deepEqual(await tree(store, unpacked[0]?.chainId), ['only-arm64']);
      assert.deepEqual(images.map(({ layers }) => registry.traffic(layers[0]?.digest).requests), [0, 1, 0]); // biome-ignore format: one line
      assert.equal(unpacked.length, 1);
      await rejectsWith('NotFound', /no match for platform linux\/riscv64/, pull(ref, { store, platforms: ['linux/riscv64'], ...native })); // biome-ignore format: one line
      await rejectsWith('NotFound', /no match for platform linux\/riscv64/, fetch(ref, { store, platforms: ['linux/riscv64'] })); // biome-ignore format: one line
      const all = await pull(ref, { store, platforms: 'all', ...native });
      assert.deepEqual(all.unpacked.map((u) => u.platform), ['linux/s390x', 'linux/arm64', 'linux/amd64']); // biome-ignore format: one line
    });
  },
);

test(
  'of several that would do by their configs the best is taken, the first of equals, whichever comes first',
  OVERLAY,
  async () => {
    await withBench(async ({ store, registry }) => {
      const arm = (variant: string) => untold(variant, 'arm', variant);
      const rows: [string, TestImage[], number, string][] = [
        [
          'linux/amd64',
          [await untold('386'), await untold('amd64'), await untold('more', 'amd64')],
          1,
          'amd64',
        ],
        ['linux/arm/v6', [await arm('v5'), await arm('v6'), await arm('v7')], 1, 'v6'],
        ['linux/arm64', [await arm('v6'), await arm('v7')], 1, 'v7'],
        [
          'linux/amd64',
          [await untold('amd64'), await image('told', { platform: platform('386') })],
          1,
          'told',
        ],
        ['linux/amd64', [buildIndex([await image('deep')]), await image('near')], 1, 'near'],
      ];
      for (const [n, [wanted, images, at, best]] of rows.entries()) {
        registry.faults.push({ match: images[at]?.root.digest.slice(7) ?? '', delay: 100 });
        const ref = registry.push(`a/${n}`, 'v1', buildIndex(images));
        const { unpacked } = await pull(ref, { store, platforms: [wanted], ...native });
        assert.deepEqual(await tree(store, unpacked[0]?.chainId), [`only-${best}`]);
        const again = await unpack(ref, { store, platforms: [wanted], ...native });
        assert.equal(again.unpacked[0]?.chainId, unpacked[0]?.chainId, 'the store’s readers choose the same');
      }
    });
  },
);

test('a manifest that no index lists must be for the platform that is asked for', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/m', 'v1', await image('x', { platform: platform('s390x') }));
    await rejectsWith('NotFound', /no match for platform linux\/arm64/, fetch(ref, { store, platforms: ['linux/arm64'] })); // biome-ignore format: one line
    assert.deepEqual(await store.images.list(), []);
    await fetch(ref, { store, platforms: ['linux/arm64'], metadataOnly: true });
    for (const platforms of [['linux/arm64', 'linux/s390x'], 'all', undefined] as const) {
      await fetch(ref, { store, platforms });
    }
    await fetch(registry.push('a/art', 'v1', await artifact()), { store, platforms: ['linux/arm64'] });
    const index = registry.push('a/art', 'v2', buildIndex([await artifact()]));
    await fetch(index, { store, platforms: ['linux/arm64'] });
    assert.ok((await held(store)).includes(sha256(inToto)), 'an artifact is for any');
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

test('--metadata-only: every manifest and config, no layer; of a lone manifest too', async () => {
  await withBench(async ({ store, registry }) => {
    const [amd, arm] = [await image('amd'), await image('arm', { platform: platform('arm') })];
    const note = await attestation(amd.root.digest);
    const config = ({ root }: TestImage): string =>
      JSON.parse(new TextDecoder().decode(root.bytes)).config.digest;
    const all = (...images: TestImage[]) => images.flatMap((one) => [one.root.digest, config(one)]).sort();
    // ctr fetches the layers here: a manifest that no index lists has no platform that could fail to match.
    await fetch(registry.push('a/m', 'v1', amd), { store, metadataOnly: true });
    assert.deepEqual((await held(store)).sort(), all(amd));
    const ref = registry.push('a/i', 'v1', buildIndex([amd, arm, note]));
    const { target } = await fetch(ref, { store, metadataOnly: true, platforms: ['linux/s390x'] });
    assert.deepEqual((await held(store)).sort(), [target.digest, ...all(amd, arm, note)].sort());
    assert.equal(registry.traffic(amd.layers[0]?.digest).requests, 0);
  });
});
