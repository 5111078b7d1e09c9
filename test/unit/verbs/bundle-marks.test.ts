/** An archive counts as read only while all that it brought is here, under its names. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { markedImages, markImages } from '../../../src/core/verbs/bundle-marks.ts';
import type { StoreDeps } from '../../../src/core/verbs/options.ts';
import { partsOf } from '../../../src/entry/stores.ts';
import { openStore, type Store } from '../../../src/mod.ts';
import { putEmptyImage } from '../../support/golden-image.ts';
import { tempDir } from '../../support/tmp.ts';

const ARCHIVE = { path: '/images/a.tar.zst', version: '100-5' };
const [A, B] = ['registry.example/a:1', 'registry.example/b:1'] as const;

/** As ctr images tag and hawser tag do it. */
async function copied(store: Store, to: string): Promise<void> {
  const { target, labels } = await store.images.get(A);
  await store.images.put(to, target, labels);
}

const CHANGES: readonly [what: string, change: (store: Store, config: Descriptor) => Promise<unknown>][] = [
  ['a name is gone', (store) => store.images.delete(B)],
  [
    'a name names something else',
    async (store) => store.images.put(B, (await store.images.get(A)).target, {}),
  ],
  ['a name names something else, with the labels of the other name', (store) => copied(store, B)],
  ['a blob is gone', (store, { digest }) => store.content.delete(digest)],
];
const NO_CHANGES: typeof CHANGES = [
  ['nothing', async () => {}],
  ['another name has the labels of one', (store) => copied(store, 'registry.example/c:1')],
];

async function withStore(work: (store: Store, deps: StoreDeps) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const store = await openStore({ root: join(dir.path, 'root') });
  try {
    const { backend, runtime } = partsOf(store);
    const { clock, hashers, codecs } = runtime;
    const hostPlatform = { os: 'linux', architecture: 'amd64' };
    await work(store, { backend, clock, hashers, codecs, hostPlatform, cpus: 1 });
  } finally {
    await store[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  }
}

for (const [what, change] of [...NO_CHANGES, ...CHANGES])
  test(`an archive that was read: ${what}`, () =>
    withStore(async (store, deps) => {
      const config = await putEmptyImage(store, A);
      const other = await putEmptyImage(store, B);
      const known = async (archive: typeof ARCHIVE) =>
        (await markedImages(deps, archive, await store.images.list(), {}))?.map(({ name }) => name);
      assert.equal(await known(ARCHIVE), undefined);
      await markImages(deps, ARCHIVE, await store.images.list(), {});
      assert.deepEqual(await known(ARCHIVE), [A, B]);
      for (const archive of [
        { ...ARCHIVE, version: '100-6' },
        { ...ARCHIVE, path: '/images/b.tar.zst' },
      ])
        assert.equal(await known(archive), undefined);
      await change(store, what === 'a blob is gone' ? other : config);
      assert.deepEqual(await known(ARCHIVE), CHANGES.some(([one]) => one === what) ? undefined : [A, B]);
    }));

test('a list of images that is older than the last change: a name that moved is not what the archive brought', () =>
  withStore(async (store, deps) => {
    for (const name of [A, B]) await putEmptyImage(store, name);
    const images = await store.images.list();
    await markImages(deps, ARCHIVE, images, {});
    const before = await store.images.list();
    await store.images.put(A, (await store.images.get(B)).target, {});
    assert.equal(await markedImages(deps, ARCHIVE, before, {}), undefined);
  }));

test('a name that an archive has twice is one name: the archive is known', () =>
  withStore(async (store, deps) => {
    await putEmptyImage(store, A);
    const [image] = await store.images.list();
    assert.ok(image);
    await markImages(deps, ARCHIVE, [image, image], {});
    const known = await markedImages(deps, ARCHIVE, await store.images.list(), {});
    assert.deepEqual(
      known?.map(({ name }) => name),
      [A],
    );
  }));
