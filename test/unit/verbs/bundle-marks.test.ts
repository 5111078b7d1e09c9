/** An archive counts as read only while all that it brought is here, under its names. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { markedImages, markImages } from '../../../src/core/verbs/bundle-marks.ts';
import { partsOf } from '../../../src/entry/stores.ts';
import { openStore, type Store } from '../../../src/mod.ts';
import { CONFIG_TYPE, MANIFEST_TYPE, putBlob } from '../../support/golden-image.ts';
import { tempDir } from '../../support/tmp.ts';

const ARCHIVE = { path: '/images/a.tar.zst', version: '100-5' };
const [A, B] = ['registry.example/a:1', 'registry.example/b:1'] as const;

/** Without layers: there is nothing to unpack. */
async function putImage(store: Store, name: string): Promise<Descriptor> {
  const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const rootfs = { type: 'layers', diff_ids: [] };
  const config = await putBlob(
    store,
    bytes({ architecture: 'amd64', os: 'linux', name, rootfs }),
    CONFIG_TYPE,
  );
  const manifest = { schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers: [] };
  const target = await putBlob(store, bytes(manifest), MANIFEST_TYPE);
  await store.images.put(name, target, {});
  return config;
}

const CHANGES: readonly [what: string, change: (store: Store, config: Descriptor) => Promise<unknown>][] = [
  ['a name is gone', (store) => store.images.delete(B)],
  [
    'a name names something else',
    async (store) => store.images.put(B, (await store.images.get(A)).target, {}),
  ],
  ['a blob is gone', (store, { digest }) => store.content.delete(digest)],
];

for (const [what, change] of [['nothing', async () => {}] as const, ...CHANGES])
  test(`an archive that was read: ${what}`, async () => {
    const dir = tempDir();
    const store = await openStore({ root: join(dir.path, 'root') });
    try {
      const { backend, runtime } = partsOf(store);
      const { clock, hashers, codecs } = runtime;
      const hostPlatform = { os: 'linux', architecture: 'amd64' };
      const deps = { backend, clock, hashers, codecs, hostPlatform, cpus: 1 };
      const config = await putImage(store, A);
      const other = await putImage(store, B);
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
      assert.deepEqual(await known(ARCHIVE), what === 'nothing' ? [A, B] : undefined);
    } finally {
      await store[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    }
  });
