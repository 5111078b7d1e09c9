/** What of an index is fetched and unpacked: nested indices, artifacts beside images, children that nobody asked for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fetch, pull, type Store } from '../../src/mod.ts';
import { buildImage, buildIndex, type TestImage } from '../registry/image.ts';
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
  test(`an image ${where} beside an artifact is no image for this one: a record that was there stays (T10)`, async () => {
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
