/** What every image store must do (containerd's core/metadata/images_test.go, with our rule for labels). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend } from '../../src/core/backend.ts';
import type { Descriptor } from '../../src/core/oci/descriptor.ts';
import { bytesOf, digestOf } from '../support/stores.ts';
import { type Departures, rejectsWith, type StoreUnderTest } from './content.ts';

function target(text: string): Descriptor {
  return {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: digestOf(bytesOf(text)),
    size: 10,
  };
}

export function imagesSuite(
  name: string,
  make: () => Promise<StoreUnderTest>,
  skip: string | false = false,
  departures: Departures = {},
): void {
  const check = (title: string, body: (backend: Backend, store: StoreUnderTest) => Promise<void>): void => {
    test(`images/${name}: ${title}`, { skip: skip || (departures[title] ?? false) }, async () => {
      const store = await make();
      try {
        await body(await store.open('testsuite'), store);
      } finally {
        await store.done();
      }
    });
  };

  check('put makes, then moves; createdAt stays', async ({ images }) => {
    const made = await images.put('docker.io/library/a:1', target('one'), { l: 'v' });
    assert.deepEqual(made.target, target('one'));
    assert.deepEqual(made.labels, { l: 'v' });
    const moved = await images.put('docker.io/library/a:1', target('two'), {});
    assert.deepEqual(moved.target, target('two'));
    assert.equal(moved.createdAt, made.createdAt);
    assert.ok(moved.updatedAt >= made.updatedAt);
    assert.deepEqual(await images.get('docker.io/library/a:1'), moved);
  });

  check('labels given are set, others stay, an empty value removes', async ({ images }) => {
    await images.put('a', target('one'), { a: '1', b: '2' });
    const again = await images.put('a', target('one'), { b: '', c: '3' });
    assert.deepEqual(again.labels, { a: '1', c: '3' });
    await rejectsWith('InvalidArgument', images.put('a', target('one'), { k: 'x'.repeat(4096) }));
  });

  check('label: sets and removes labels, and leaves the rest', async ({ images }) => {
    await rejectsWith('NotFound', images.label('a', { x: 'y' }));
    const made = await images.put('a', target('one'), { a: '1', b: '2' });
    const changed = await images.label('a', { b: '', 'c.d/e': '3' });
    assert.deepEqual(changed.labels, { a: '1', 'c.d/e': '3' });
    assert.deepEqual([changed.target, changed.createdAt], [made.target, made.createdAt]);
    assert.ok(changed.updatedAt >= made.updatedAt);
    assert.deepEqual((await images.label('a', {})).labels, changed.labels);
    await rejectsWith('InvalidArgument', images.label('a', { k: 'x'.repeat(4096) }));
    assert.deepEqual((await images.get('a')).labels, changed.labels);
  });

  check('list is sorted by bytes; names need no form', async ({ images }) => {
    for (const one of ['b', 'a', 'ä', 'Z', 'a/b:c@d e']) await images.put(one, target(one), {});
    assert.deepEqual(
      (await images.list()).map((image) => image.name),
      ['Z', 'a', 'a/b:c@d e', 'b', 'ä'],
    );
  });

  check('annotations are kept, the rest of a descriptor is not', async ({ images }) => {
    const annotations = { x: 'y' };
    const full = { ...target('one'), annotations, platform: { os: 'linux', architecture: 'amd64' } };
    const image = await images.put('a', full, {});
    assert.deepEqual(image.target, { ...target('one'), annotations });
  });

  check('delete, and what is not there', async ({ images }) => {
    await images.put('a', target('one'), { l: 'v' });
    await images.delete('a');
    await rejectsWith('NotFound', images.get('a'));
    await rejectsWith('NotFound', images.delete('a'));
    assert.deepEqual((await images.put('a', target('two'), {})).labels, {});
  });

  check(
    'keepsOther: a name that is free or names the digest is recorded, another stays',
    async ({ images }) => {
      await images.put('a', target('one'), {}, { keepsOther: true });
      assert.deepEqual((await images.put('a', target('one'), { l: 'v' }, { keepsOther: true })).labels, {
        l: 'v',
      });
      await rejectsWith('AlreadyExists', images.put('a', target('two'), { l: 'w' }, { keepsOther: true }));
      const { target: found, labels } = await images.get('a');
      assert.deepEqual([found, labels], [target('one'), { l: 'v' }]);
    },
  );

  check(
    'deleteUnchanged: what moved, was recorded anew, labelled or removed meanwhile stays',
    async ({ images }) => {
      const names = ['same', 'moved', 'again', 'pinned', 'gone'];
      for (const name of names) await images.put(name, target('one'), {});
      const chosen = await images.list();
      await new Promise((resolve) => setTimeout(resolve, 5));
      await images.put('moved', target('two'), {});
      await images.put('again', target('one'), {});
      await images.label('pinned', { pinned: 'pinned' });
      await images.delete('gone');
      assert.deepEqual(await images.deleteUnchanged(chosen), ['same']);
      assert.deepEqual(
        (await images.list()).map(({ name }) => name),
        ['again', 'moved', 'pinned'],
      );
    },
  );

  check('a record needs a name, a size and a media type', async ({ images }) => {
    await rejectsWith('InvalidArgument', images.put('', target('one'), {}));
    await rejectsWith('InvalidArgument', images.put('a', { ...target('one'), size: 0 }, {}));
    await rejectsWith('InvalidArgument', images.put('a', { ...target('one'), mediaType: '' }, {}));
    assert.deepEqual(await images.list(), []);
  });

  check('images belong to their namespace', async ({ images }, store) => {
    const other = (await store.open('testsuite-2')).images;
    await images.put('a', target('one'), {});
    await rejectsWith('NotFound', other.get('a'));
    await other.put('a', target('two'), {});
    assert.deepEqual((await images.get('a')).target, target('one'));
  });
}
