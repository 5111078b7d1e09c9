/** The content of a store that is carried elsewhere, without the database: the images are all there for another store. */
import assert from 'node:assert/strict';
import { cpSync, renameSync, symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fetch, importImages, openStore } from '../../src/mod.ts';
import { image, withBench } from '../support/bench.ts';
import { tempDir } from '../support/tmp.ts';

test('a carried content/ is read as any image layout: same names, same digests, and nothing in it changes', async () => {
  await withBench(async ({ store, registry }) => {
    for (const name of ['one', 'two'])
      await fetch(registry.push('a/carried', name, await image(name)), { store });
    const names = (await store.images.list()).map((one) => [one.name, one.target.digest]);
    const dir = tempDir();
    const carried = join(dir.path, 'carried');
    cpSync(join(store.root, 'content'), carried, { recursive: true });
    const other = await openStore({ root: join(dir.path, 'other') });
    try {
      await importImages({ store: other, from: carried, unpack: false });
      assert.deepEqual(
        (await other.images.list()).map((one) => [one.name, one.target.digest]),
        names,
      );
      assert.deepEqual(
        (await other.content.list()).map(({ digest, size }) => [digest, size]),
        (await store.content.list()).map(({ digest, size }) => [digest, size]),
      );
    } finally {
      await other[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    }
  });
});

for (const [title, damage, says] of [
  [
    'a blob that leads elsewhere',
    (blob: string) => {
      renameSync(blob, `${blob}.moved`);
      symlinkSync(`${blob}.moved`, blob);
    },
    /is no file/,
  ],
  ['a blob that is too short', (blob: string) => truncateSync(blob, 10), /./],
] as const) {
  test(`a carried content/ with ${title} is refused`, async () => {
    await withBench(async ({ store, registry }) => {
      const made = await image('one');
      await fetch(registry.push('a/carried', 'v1', made), { store });
      const dir = tempDir();
      const carried = join(dir.path, 'carried');
      cpSync(join(store.root, 'content'), carried, { recursive: true });
      damage(join(carried, 'blobs', (made.layers[0]?.digest ?? '').replace(':', '/')));
      const other = await openStore({ root: join(dir.path, 'other') });
      try {
        await assert.rejects(importImages({ store: other, from: carried, unpack: false }), says);
        assert.deepEqual(await other.images.list(), []);
      } finally {
        await other[Symbol.asyncDispose]();
        dir[Symbol.dispose]();
      }
    });
  });
}
