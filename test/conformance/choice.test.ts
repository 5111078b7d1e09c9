/** What of an index is fetched and unpacked: nested indices, artifacts beside images, children that nobody asked for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostPlatform } from '../../src/core/platforms/host.ts';
import { parseReference } from '../../src/core/reference/parse.ts';
import { openRegistry } from '../../src/core/registry/open.ts';
import type { TransferDeps } from '../../src/core/verbs/options.ts';
import { pull as pullImage } from '../../src/core/verbs/pull.ts';
import { unpackImage } from '../../src/core/verbs/unpack.ts';
import { partsOf } from '../../src/entry/stores.ts';
import { fetch, type ProgressEvent, pull, type Store, unpack } from '../../src/mod.ts';
import { buildImage, buildIndex, type TestImage } from '../registry/image.ts';
import { buildkitIndex } from '../registry/zoo/indices.ts';
import { type Bench, image, rejectsWith, withBench } from '../support/bench.ts';
import { needs } from '../support/needs.ts';

const ROOT = { skip: needs({ root: true }) };
const AMD = { os: 'linux', architecture: 'amd64' };
const ARM = { os: 'linux', architecture: 'arm64' };
const ARTIFACT_TYPE = 'application/vnd.example.index.v2+json';

/** A manifest that is no image, with a platform or without. */
async function artifact(platform: TestImage['platform']): Promise<TestImage> {
  const layers = [{ entries: [{ name: 'ztoc', data: 'x' }] }];
  const plain = await buildImage({ layers });
  const { config } = JSON.parse(new TextDecoder().decode(plain.root.bytes)) as { config: object };
  const empty = { ...config, mediaType: 'application/vnd.oci.empty.v1+json' };
  const made = await buildImage({ layers, manifest: { artifactType: ARTIFACT_TYPE, config: empty } });
  return { ...made, platform };
}

/** An index whose entries say the artifact's type, or leave it to the manifest. */
function withType(index: TestImage, of: TestImage): TestImage {
  const document = JSON.parse(new TextDecoder().decode(index.root.bytes)) as {
    manifests: { digest: string; artifactType?: string }[];
  };
  for (const one of document.manifests) if (one.digest === of.root.digest) one.artifactType = ARTIFACT_TYPE;
  return { ...index, ...buildIndex([], document), manifests: index.manifests, blobs: index.blobs };
}

async function held(store: Store): Promise<Set<string>> {
  return new Set((await store.content.list()).map((info) => info.digest as string));
}

/** Both verbs bring the image, and the layers of no other. */
async function bringsOnly(
  { registry, store }: Bench,
  ref: string,
  wanted: TestImage,
  others: readonly TestImage[] = [],
): Promise<void> {
  const { target } = await fetch(ref, { store, platforms: ['linux/amd64'] });
  const digests = await held(store);
  assert.ok(digests.has(target.digest));
  for (const { digest } of wanted.layers) assert.ok(digests.has(digest), 'the layers of the image');
  for (const { digest } of others.flatMap(({ layers }) => layers))
    assert.ok(!digests.has(digest), 'of no other');
  const before = registry.requests.length;
  const { unpacked } = await pull(ref, { store, platforms: ['linux/amd64'], snapshotter: 'native' });
  assert.deepEqual(
    unpacked.map(({ platform }) => platform),
    ['linux/amd64'],
  );
  assert.ok(registry.requests.length - before <= 1, 'all of it was there');
}

for (const labelled of [true, false]) {
  test(`an index of indices, ${labelled ? 'with platforms' : 'without'}`, ROOT, async () => {
    await withBench(async (bench) => {
      const [amd, arm] = [await image('amd', { platform: AMD }), await image('arm', { platform: ARM })];
      const inner = (one: TestImage) => ({
        ...buildIndex([one]),
        platform: labelled ? one.platform : undefined,
      });
      const root = buildIndex([inner(arm), inner(amd)]);
      await bringsOnly(bench, bench.registry.push('t/n', 'v1', root), amd, labelled ? [arm] : []);
    });
  });
}

test('an index whose nested index lacks the platform after all is refused, and not recorded', async () => {
  await withBench(async ({ registry, store }) => {
    const arm = await image('arm', { platform: ARM });
    const root = buildIndex([{ ...buildIndex([arm]), platform: AMD }]);
    const ref = registry.push('t/n', 'v1', root);
    await rejectsWith(
      'NotFound',
      /no match for platform linux\/amd64/,
      fetch(ref, { store, platforms: ['linux/amd64'] }),
    );
    assert.deepEqual(await store.images.list(), []);
  });
});

for (const said of [true, false]) {
  for (const platform of [AMD, undefined]) {
    const where = platform === undefined ? 'without a platform' : 'for the same platform';
    test(`an artifact ${where} before the image, ${said ? 'named' : 'not named'} as one`, ROOT, async () => {
      await withBench(async (bench) => {
        const [other, amd] = [await artifact(platform), await image('amd', { platform: AMD })];
        const plain = buildIndex([other, amd]);
        const root = said ? withType(plain, other) : plain;
        await bringsOnly(bench, bench.registry.push('t/a', 'v1', root), amd, [other]);
      });
    });
  }
}

/** What stands behind an artifact for linux/amd64: images whose platform their configs tell, the wanted one first. */
const BEHIND = {
  'an image without a platform': (...images) => images.map(unplaced),
  'an index without a platform': (...images) => [unplaced(buildIndex(images))],
  'two indexes without a platform': (...images) => images.map((one) => unplaced(buildIndex([one]))),
} satisfies Record<string, (...images: TestImage[]) => TestImage[]>;

const unplaced = (one: TestImage): TestImage => ({ ...one, platform: undefined });

for (const said of [true, false]) {
  const how = said ? 'named as one' : 'not named as one';
  for (const [what, behind] of Object.entries(BEHIND)) {
    test(`an artifact for the platform, ${how}, before ${what}: the image is taken`, ROOT, async () => {
      await withBench(async (bench) => {
        const [amd, arm] = [await image('amd', { platform: AMD }), await image('arm', { platform: ARM })];
        const other = await artifact(AMD);
        const plain = buildIndex([other, ...behind(amd, arm)]);
        const ref = bench.registry.push('t/b', 'v1', said ? withType(plain, other) : plain);
        await bringsOnly(bench, ref, amd, [arm, other]);
        const { unpacked } = await unpack(ref, {
          store: bench.store,
          platforms: ['linux/amd64'],
          snapshotter: 'native',
        });
        assert.equal(unpacked[0]?.manifest.digest, amd.root.digest, 'readers of the store');
      });
    });
  }
  const others = { 'an image': (arm: TestImage) => arm, ...BEHIND };
  for (const [what, behind] of Object.entries(others)) {
    test(`an artifact for the platform, ${how}, beside ${what} of another: refused`, async () => {
      await withBench(async ({ registry, store }) => {
        const arm = await image('arm', { platform: ARM });
        const other = await artifact(AMD);
        const plain = buildIndex([other, ...[behind(arm)].flat()]);
        const ref = registry.push('t/b', 'v1', said ? withType(plain, other) : plain);
        const refused = (err: { message: string; hint?: string }) => {
          assert.match(err.message, /no match for platform/);
          assert.equal(err.hint, 'The image has: linux/arm64. Choose with platform (or platforms)');
          return true;
        };
        await assert.rejects(fetch(ref, { store, platforms: ['linux/amd64'] }), refused);
        assert.deepEqual(await store.images.list(), []);
        await fetch(ref, { store, platforms: ['linux/arm64'] });
        if (said) await assert.rejects(unpack(ref, { store, platforms: ['linux/amd64'] }), refused);
      });
    });
  }
}

test('an artifact for each of the platforms, not named as one: each has its own', async () => {
  await withBench(async ({ registry, store }) => {
    const amd = await artifact(AMD);
    const layers = [{ entries: [{ name: 'ztoc', data: 'arm' }] }];
    const { root } = await buildImage({ layers });
    const { config } = JSON.parse(new TextDecoder().decode(amd.root.bytes)) as { config: object };
    const made = await buildImage({ layers, manifest: { config } });
    assert.notEqual(made.root.digest, root.digest);
    const arm = { ...made, platform: ARM };
    const ref = registry.push('t/e', 'v1', buildIndex([amd, arm]));
    const has = async (one: TestImage) => (await held(store)).has(one.layers[0]?.digest ?? '');
    await fetch(ref, { store, platforms: ['linux/amd64'] });
    assert.deepEqual([await has(amd), await has(arm)], [true, false]);
    await fetch(ref, { store, platforms: ['linux/amd64', 'linux/arm64'] });
    assert.deepEqual([await has(amd), await has(arm)], [true, true]);
    const missing = fetch(ref, { store, platforms: ['linux/amd64', 'linux/s390x'] });
    await rejectsWith('NotFound', /no match for platform linux\/s390x/, missing);
  });
});

test('a signature with an image config is told as what it is', ROOT, async () => {
  await withBench(async ({ registry, store }) => {
    const layers = [{ entries: [{ name: 'a', data: 'x' }] }];
    const plain = await buildImage({ layers });
    const [layer] = (JSON.parse(new TextDecoder().decode(plain.root.bytes)) as { layers: object[] }).layers;
    const mediaType = 'application/vnd.dev.cosign.simplesigning.v1+json';
    const made = await buildImage({ layers, manifest: { layers: [{ ...layer, mediaType }] } });
    const ref = registry.push('t/s', 'sig', made);
    const refused = pull(ref, { store, snapshotter: 'native' });
    await rejectsWith(
      'FailedPrecondition',
      /an artifact, not an image \(its layers are .*simplesigning/,
      refused,
    );
    await fetch(ref, { store });
  });
});

test('an artifact alone is what its index has for the platform', async () => {
  await withBench(async ({ registry, store }) => {
    const other = await artifact(AMD);
    const ref = registry.push('t/a', 'v1', buildIndex([other]));
    await fetch(ref, { store, platforms: ['linux/amd64'] });
    assert.ok((await held(store)).has(other.layers[0]?.digest ?? ''));
  });
});

for (const declared of [true, false]) {
  const where = declared ? 'for another platform' : 'whose config names no platform';
  test(`an image ${where} beside an artifact is no image for this one: a record that was there stays`, async () => {
    await withBench(async ({ registry, store }) => {
      const platforms = ['linux/arm64'];
      const arm = await image('arm', { platform: ARM });
      const ref = registry.push('t/x', 'v1', buildIndex([arm]));
      const { target } = await fetch(ref, { store, platforms });
      const bare = { config: { os: undefined, architecture: undefined } };
      const other = declared ? await image('amd', { platform: AMD }) : await image('bare', bare);
      const unnamed = declared ? other : { ...other, platform: undefined };
      registry.push('t/x', 'v1', buildIndex([unnamed, await artifact(undefined)]));
      await rejectsWith('NotFound', /no match for platform linux\/arm64/, fetch(ref, { store, platforms }));
      const [recorded] = await store.images.list();
      assert.equal(recorded?.target.digest, target.digest);
      assert.ok((await held(store)).has(arm.layers[0]?.digest ?? ''));
    });
  });
}

test('an index of artifacts alone is fetched for any platform', async () => {
  await withBench(async ({ registry, store }) => {
    const other = await artifact(undefined);
    const named = await artifact(AMD);
    const root = withType(buildIndex([other, named]), named);
    const ref = registry.push('t/a', 'v1', root);
    await fetch(ref, { store, platforms: ['linux/arm64'] });
    assert.ok((await held(store)).has(other.layers[0]?.digest ?? ''));
  });
});

test(
  'children without a platform are not asked for where every wanted platform has an image',
  ROOT,
  async () => {
    await withBench(async (bench) => {
      const { registry } = bench;
      const [amd, other] = [await image('amd', { platform: AMD }), await image('gone', {})];
      const root = buildIndex([amd, { ...other, platform: undefined }]);
      const ref = registry.push('t/g', 'v1', root);
      registry.faults.push({ match: other.root.digest, status: 404 });
      await bringsOnly(bench, ref, amd, [other]);
      assert.equal(registry.traffic(other.root.digest).requests, 0);
    });
  },
);

/** Runs verbs as on a machine of a level of amd64. */
async function onLevel<T>(
  store: Store,
  variant: string,
  work: (deps: TransferDeps) => Promise<T>,
): Promise<T> {
  const { backend, runtime } = partsOf(store);
  const { transports, clock, hashers, codecs } = runtime;
  const registry = openRegistry({ transports, clock });
  const machine = hostPlatform({ os: 'linux', arch: 'amd64', variant });
  try {
    return await work({ backend, registry, clock, hashers, codecs, hostPlatform: machine, cpus: 1 });
  } finally {
    await registry[Symbol.asyncDispose]();
  }
}

/** Names of an index's entries; whom a machine of each level takes, and whom `linux/amd64` asked for means. */
const LEVELS: readonly (readonly [index: string, base: string, v2: string, v3: string, v4: string])[] = [
  ['amd64 amd64/v2 amd64/v3 amd64/v4', 'amd64', 'amd64/v2', 'amd64/v3', 'amd64/v4'],
  ['amd64/v4 amd64/v3 amd64/v2 amd64', 'amd64', 'amd64/v2', 'amd64/v3', 'amd64/v4'],
  ['386 amd64 amd64/v3', 'amd64', 'amd64', 'amd64/v3', 'amd64/v3'],
  ['386 amd64/v2', '386', 'amd64/v2', 'amd64/v2', 'amd64/v2'],
  ['amd64/v1 arm64', 'amd64/v1', 'amd64/v1', 'amd64/v1', 'amd64/v1'],
];

for (const [names, ...wanted] of LEVELS) {
  test(`amd64 levels: of ${names} a machine takes the best that it runs`, ROOT, async () => {
    await withBench(async ({ registry, store }) => {
      const images = await Promise.all(
        names.split(' ').map(async (name) => {
          const [architecture = '', variant] = name.split('/');
          const platform = { os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) };
          return [name, await image(name.replace('/', '-'), { platform })] as const;
        }),
      );
      const ref = registry.push('t/l', 'v1', buildIndex(images.map(([, one]) => one)));
      const digestOf = (name: string | undefined) => images.find(([one]) => one === name)?.[1].root.digest;
      for (const [level, name] of wanted.entries()) {
        await onLevel(store, level === 0 ? '' : `v${level + 1}`, async (deps) => {
          const reference = parseReference(ref);
          const pulled = await pullImage(deps, { reference, snapshotter: 'native' });
          const image = await store.images.get(reference.name);
          const again = await unpackImage(deps, image, { snapshotter: 'native' });
          for (const { unpacked } of [pulled, again]) {
            const [{ platform, manifest } = assert.fail()] = unpacked;
            assert.deepEqual([platform, manifest.digest], [`linux/${name}`, digestOf(name)]);
          }
          const platforms = [AMD];
          const asked = await pullImage(deps, { reference, platforms, snapshotter: 'native' });
          assert.equal(asked.unpacked[0]?.manifest.digest, digestOf(wanted[0]));
        });
      }
    });
  });
}

test('features of an OS: chosen by, and told', ROOT, async () => {
  await withBench(async ({ registry, store }) => {
    const plain = await image('plain', { platform: AMD });
    const special = { ...(await image('special', { platform: AMD })), platform: undefined };
    const list = (featured: TestImage, ...others: TestImage[]) => {
      const platform = { ...AMD, 'os.features': ['erofs', 'x y'] };
      const { mediaType, digest, bytes } = featured.root;
      const document = JSON.parse(new TextDecoder().decode(buildIndex(others).root.bytes));
      document.manifests.unshift({ mediaType, digest, size: bytes.length, platform });
      const all = buildIndex([featured, ...others], document);
      return registry.push('t/f', `v${others.length}`, all);
    };
    const both = list(special, plain);
    const taken = async (ref: string, platform: string) => {
      const options = { store, platforms: [platform], snapshotter: 'native' };
      return (await pull(ref, options)).unpacked.map((one) => [one.platform, one.manifest.digest]);
    };
    assert.deepEqual(await taken(both, 'linux/amd64'), [['linux/amd64', plain.root.digest]]);
    const name = 'linux(+erofs+x%20y)/amd64';
    assert.deepEqual(await taken(both, name), [[name, special.root.digest]]);
    const { unpacked } = await pull(both, {
      store,
      platforms: ['linux/amd64', name],
      snapshotter: 'native',
    });
    assert.deepEqual(unpacked.map((one) => one.platform).sort(), [name, 'linux/amd64'].sort());
    await assert.rejects(taken(list(special), 'linux/amd64'), (err: { message: string; hint?: string }) => {
      assert.match(err.message, /no match for platform linux\/amd64/);
      assert.equal(err.hint, `The image has: ${name}. Choose with platform (or platforms)`);
      return true;
    });
  });
});

test(
  'what readers of the store take is what was fetched: an artifact never goes before an image',
  ROOT,
  async () => {
    await withBench(async ({ registry, store }) => {
      const [other, amd] = [await artifact(AMD), await image('amd', { platform: AMD })];
      const plain = buildIndex([other, amd]);
      for (const [tag, root] of Object.entries({ said: withType(plain, other), unsaid: plain })) {
        const ref = registry.push('t/r', tag, root);
        const pulled = await pull(ref, { store, platforms: ['linux/amd64'], snapshotter: 'native' });
        const again = await unpack(ref, { store, platforms: ['linux/amd64'], snapshotter: 'native' });
        assert.equal(again.unpacked[0]?.manifest.digest, amd.root.digest);
        assert.equal(again.unpacked[0]?.chainId, pulled.unpacked[0]?.chainId);
      }
    });
  },
);

test('an artifact that its index calls one is fetched; a pull says what to do', ROOT, async () => {
  await withBench(async ({ registry, store }) => {
    const other = await artifact(AMD);
    const ref = registry.push('t/o', 'v1', withType(buildIndex([other]), other));
    const options = { store, platforms: ['linux/amd64'] };
    await fetch(ref, options);
    assert.ok((await held(store)).has(other.layers[0]?.digest ?? ''));
    await store.images.delete(ref);
    await assert.rejects(
      pull(ref, { ...options, snapshotter: 'native' }),
      (err: { message: string; hint?: string }) => {
        assert.match(err.message, /no match for platform linux\/amd64/);
        assert.match(err.hint ?? '', /Fetch it without unpacking: fetch\(reference\)$/);
        return true;
      },
    );
    assert.deepEqual(await store.images.list(), []);
  });
});

test('an entry whose artifactType is that of an image config is an image', ROOT, async () => {
  await withBench(async (bench) => {
    const amd = await image('amd', { platform: AMD });
    const document = JSON.parse(new TextDecoder().decode(buildIndex([amd]).root.bytes));
    document.manifests[0].artifactType = 'application/vnd.oci.image.config.v1+json';
    await bringsOnly(bench, bench.registry.push('t/c', 'v1', { ...buildIndex([amd], document) }), amd);
  });
});

test('an artifact without a platform is nobody’s image: where there are images, each wanted platform must have one', async () => {
  await withBench(async ({ registry, store }) => {
    const arm = await image('arm', { platform: ARM });
    const other = await artifact(undefined);
    const blob = {
      mediaType: 'application/x.other',
      digest: other.layers[0]?.digest,
      size: other.layers[0]?.size,
    };
    const listed = JSON.parse(new TextDecoder().decode(buildIndex([arm]).root.bytes)) as {
      manifests: object[];
    };
    const beside = buildIndex([arm], { manifests: [...listed.manifests, blob] });
    for (const [tag, root] of Object.entries({ artifact: buildIndex([other, arm]), blob: beside })) {
      const ref = registry.push('t/p', tag, root);
      await rejectsWith(
        'NotFound',
        /no match for platform linux\/amd64/,
        fetch(ref, { store, platforms: ['linux/amd64'] }),
      );
      assert.deepEqual(await store.images.list(), [], tag);
    }
  });
});

test(
  'what an index lists that is no manifest is fetched where there is nothing else, and told where it is left out',
  ROOT,
  async () => {
    await withBench(async ({ registry, store }) => {
      const made = await buildkitIndex();
      const ref = registry.push('t/b', 'v1', made);
      const warnings: string[] = [];
      const onProgress = (event: ProgressEvent) =>
        void (event.type === 'warning' && warnings.push(event.message));
      for (const platforms of [['linux/amd64'], 'all'] as const) {
        await fetch(ref, { store, platforms, onProgress });
        for (const digest of made.blobs.keys()) assert.ok((await held(store)).has(digest));
        await store.images.delete(ref);
        await store.collect();
        assert.equal((await held(store)).size, 0);
      }
      assert.deepEqual(warnings, []);
      const before = registry.traffic('/blobs/').requests;
      await rejectsWith('NotFound', /no match/, pull(ref, { store, platforms: ['linux/amd64'], onProgress }));
      assert.equal(registry.traffic('/blobs/').requests, before);
      assert.match(warnings[0] ?? '', /^Left out sha256:.* which is no manifest$/);
    });
  },
);

test('a document of a kind that is not known is fetched alone, and that is told', async () => {
  await withBench(async ({ registry, store }) => {
    const document = new TextEncoder().encode('{"mediaType":"application/x.list","parts":[]}');
    registry.putManifest('t/u', 'v1', 'application/x.list', document);
    const ref = `${registry.host}/t/u:v1`;
    const warnings: string[] = [];
    const onProgress = (event: ProgressEvent) =>
      void (event.type === 'warning' && warnings.push(event.message));
    await fetch(ref, { store, onProgress });
    assert.match(
      warnings.join(),
      /is of an unknown type \(application\/x\.list\): what it may refer to is not fetched/,
    );
    await rejectsWith(
      'FailedPrecondition',
      /an artifact, not an image \(application\/x\.list\)/,
      pull(ref, { store }),
    );
  });
});
