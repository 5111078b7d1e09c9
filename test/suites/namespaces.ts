/** What the namespaces of every store must do (containerd's core/metadata/namespaces.go). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend } from '../../src/core/backend.ts';
import { messageOf } from '../../src/core/errors.ts';
import { bytesOf, close, digestOf } from '../support/stores.ts';
import { rejectsWith, type StoreUnderTest } from './content.ts';

export function namespacesSuite(
  name: string,
  make: () => Promise<StoreUnderTest>,
  skip: string | false = false,
): void {
  const check = (title: string, body: (backend: Backend, store: StoreUnderTest) => Promise<void>): void => {
    test(`namespaces/${name}: ${title}`, { skip }, async () => {
      const store = await make();
      try {
        await body(await store.open('testsuite'), store);
      } finally {
        await store.done();
      }
    });
  };
  // Other tests of a shared daemon have namespaces too.
  const mine = async ({ namespaceStore }: Backend, prefix: string) =>
    (await namespaceStore.list()).filter((one) => one.name.startsWith(prefix));

  check('create, list, label, delete', async (backend) => {
    const { namespaceStore: namespaces, namespace } = backend;
    const [a, b] = [`${namespace}.a`, `${namespace}.b`];
    await namespaces.create(b, {});
    await namespaces.create(a, { one: '1', two: '2' });
    await rejectsWith('AlreadyExists', namespaces.create(a, {}));
    await rejectsWith('InvalidArgument', namespaces.create('not/one', {}));
    assert.deepEqual(await mine(backend, `${namespace}.`), [
      { name: a, labels: { one: '1', two: '2' } },
      { name: b, labels: {} },
    ]);
    await namespaces.label(a, { one: '', three: '3' });
    await namespaces.label(a, {});
    assert.deepEqual((await mine(backend, a))[0]?.labels, { two: '2', three: '3' });
    await rejectsWith('InvalidArgument', namespaces.label(a, { k: 'x'.repeat(4096) }));
    await namespaces.delete(a);
    await rejectsWith('NotFound', namespaces.delete(a));
    await rejectsWith('NotFound', namespaces.label(`${namespace}.none`, {}));
    assert.deepEqual(await mine(backend, `${namespace}.`), [{ name: b, labels: {} }]);
    await namespaces.create(a, {});
    assert.deepEqual((await mine(backend, a))[0]?.labels, {}, 'labels went with the namespace');
  });

  check(
    'a namespace with images or blobs stays; empty, it goes, and comes back with the next write',
    async (backend, store) => {
      const other = await store.open('other');
      const bytes = bytesOf('kept');
      const digest = digestOf(bytes);
      const root = { 'containerd.io/gc.root': 'yes' };
      const ingest = await other.content.ingest('r', { digest, size: bytes.length });
      await ingest.write(bytes);
      await ingest.commit({ labels: root });
      await close(ingest);
      await other.images.put('i', { mediaType: 'a/b', digest, size: bytes.length }, {});
      const failed = await rejectsWith('FailedPrecondition', backend.namespaceStore.delete(other.namespace));
      assert.match(messageOf(failed), /must be empty, but it still has images, blobs/);
      await other.images.delete('i');
      await other.content.delete(digest);
      await backend.namespaceStore.delete(other.namespace);
      assert.deepEqual(await mine(backend, other.namespace), []);
      await other.images.put('again', { mediaType: 'a/b', digest, size: 1 }, {});
      assert.equal((await mine(backend, other.namespace)).length, 1);
    },
  );
}
