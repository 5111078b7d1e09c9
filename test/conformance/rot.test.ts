/** Blobs of the store that have lost their digest (a rotten sector, an altered file): no verb believes them, a pull heals them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hintOf } from '../../src/core/errors.ts';
import { parseDigest } from '../../src/core/oci/digest.ts';
import { bundle, fetch, pull, type Store, unpack, unpackRootfs } from '../../src/mod.ts';
import { buildImage, type TestImage } from '../registry/image.ts';
import { rejectsWith, withBench } from '../support/bench.ts';
import { failure } from '../support/failure.ts';
import { needs } from '../support/needs.ts';
import { overwrite, ROT } from '../support/rot.ts';
import { noise } from '../support/small-image.ts';

const ROOT = { skip: needs({ root: true }) };
/** More than the store hashes before it says that it has a blob. */
const LARGE = 5 << 18;

const large = (n: number, compression: 'gzip' | 'zstd' | 'none') => ({
  entries: [{ name: `file-${n}`, data: noise(n, LARGE) }],
  compression,
});

/** Layers and config are larger than a store hashes when it is asked for them. */
const rottable: Promise<TestImage> = buildImage({
  layers: [large(1, 'gzip'), large(2, 'zstd'), large(3, 'none')],
  config: { author: 'x'.repeat(2 << 20) },
});

const EVERY = Object.entries(ROT);
const FLIPPED = EVERY.slice(0, 1);

const PARTS = ['manifest', 'config', 'gzip layer', 'zstd layer', 'plain layer'] as const;

function digestOf(image: TestImage, part: (typeof PARTS)[number]): string {
  const layers = image.layers.map(({ digest }) => digest);
  const [config = ''] = [...image.blobs.keys()].filter((digest) => !layers.includes(digest));
  const all = [image.root.digest, config, ...layers];
  return all[PARTS.indexOf(part)] ?? '';
}

const pathOf = (store: Store, digest: string): string =>
  join(store.root, 'content/blobs', digest.replace(':', '/'));

for (const part of PARTS) {
  test(
    `a rotten ${part} is found by a pull and fetched anew; all is unpacked and sound then`,
    ROOT,
    async () => {
      const image = await rottable;
      for (const [title, rot] of part === 'config' || part === 'zstd layer' ? EVERY : FLIPPED) {
        await withBench(async ({ store, registry, events }) => {
          const ref = registry.push('a/rot', 'v1', image);
          await fetch(ref, { store });
          const digest = digestOf(image, part);
          rot(pathOf(store, digest));
          registry.requests.length = 0;
          const { unpacked } = await pull(ref, { store, onProgress: (event) => events.push(event) });
          assert.equal(unpacked.length, 1, title);
          for (const { digest } of await store.content.list())
            assert.equal(await store.content.verify(digest), true, title);
          assert.ok(registry.traffic(digest).requests <= 2, title);
          assert.deepEqual(await store.leases.list(), []);
          await pull(ref, { store });
        });
      }
    },
  );
}

for (const part of ['gzip layer', 'zstd layer', 'plain layer'] as const) {
  test(
    `a rotten ${part} is dropped by the verbs that do not fetch, which say so; a pull heals it`,
    ROOT,
    async () => {
      const image = await rottable;
      for (const native of [false, true]) {
        await withBench(async ({ store, registry }) => {
          const ref = registry.push('a/rot', 'v1', image);
          await fetch(ref, { store });
          const digest = digestOf(image, part);
          const verbs = [
            () => unpackRootfs(ref, join(store.root, '../tree'), { store }),
            () => unpack(ref, { store, ...(native ? { snapshotter: 'native' } : {}) }),
          ];
          for (const verb of verbs) {
            ROT['a flipped bit']?.(pathOf(store, digest));
            const err = await failure(verb());
            assert.match(err.message, /stored blob sha256:\w+ is damaged, and is not used/);
            assert.match(hintOf(err) ?? '', /repair\(REF\) fetches it anew/);
            await rejectsWith('NotFound', /is not in the store/, verb());
            await fetch(ref, { store });
            assert.equal(await store.content.verify(parseDigest(digest)), true);
          }
          await pull(ref, { store });
        });
      }
    },
  );
}

test(
  'a pull that failed over a rotten layer does not keep the layer: images rm and a pull heal it',
  ROOT,
  async () => {
    const image = await rottable;
    await withBench(async ({ store, registry }) => {
      const ref = registry.push('a/rot', 'v1', image);
      await fetch(ref, { store });
      const digest = digestOf(image, 'gzip layer');
      ROT['a flipped bit']?.(pathOf(store, digest));
      registry.faults.push({ match: digest, status: 404 });
      await assert.rejects(pull(ref, { store }));
      await store.images.delete(ref);
      registry.faults.length = 0;
      assert.equal((await pull(ref, { store })).unpacked.length, 1);
      assert.equal(await store.content.verify(parseDigest(digest)), true);
    });
  },
);

test('an altered config, valid as it is, is never used: a bundle of it is refused', ROOT, async () => {
  const image = await buildImage({ layers: [], config: { config: { Cmd: ['/bin/good'] } } });
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/altered', 'v1', image);
    await fetch(ref, { store });
    overwrite(pathOf(store, digestOf(image, 'config')), (bytes) => {
      bytes.write('evil', bytes.indexOf('good'));
    });
    const dir = join(store.root, '../bundle');
    await rejectsWith('DataLoss', /have the digest/, bundle(ref, dir, { store }));
    await pull(ref, { store });
    await bundle(ref, dir, { store });
    assert.match(readFileSync(join(dir, 'config.json'), 'utf8'), /bin\/good/);
  });
});

test(
  'a layer that was published as it is gets blamed once its digest held, and is not fetched again',
  ROOT,
  async () => {
    const rootfs = { type: 'layers', diff_ids: [`sha256:${'1'.repeat(64)}`] };
    const image = await buildImage({ layers: [large(1, 'gzip')], config: { rootfs } });
    await withBench(async ({ store, registry }) => {
      const ref = registry.push('a/wrong', 'v1', image);
      await fetch(ref, { store });
      registry.requests.length = 0;
      const err = await failure(pull(ref, { store }));
      assert.match(err.message, /wrong diff id/);
      assert.match(hintOf(err) ?? '', /ask the image’s publisher/);
      assert.equal(registry.traffic(image.layers[0]?.digest).requests, 0);
    });
  },
);
