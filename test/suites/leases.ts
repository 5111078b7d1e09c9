/** What every lease store must do (containerd's core/leases and its metadata tests). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend } from '../../src/core/backend.ts';
import { LEASE_EXPIRE_LABEL } from '../../src/core/leases/lease-store.ts';
import { bytesOf, close, digestOf } from '../support/stores.ts';
import { type Departures, rejectsWith, type StoreUnderTest } from './content.ts';

export function leasesSuite(
  name: string,
  make: () => Promise<StoreUnderTest>,
  skip: string | false = false,
  departures: Departures = {},
): void {
  const check = (title: string, body: (backend: Backend, store: StoreUnderTest) => Promise<void>): void => {
    test(`leases/${name}: ${title}`, { skip: skip || (departures[title] ?? false) }, async () => {
      const store = await make();
      try {
        await body(await store.open('testsuite'), store);
      } finally {
        await store.done();
      }
    });
  };

  check('create, list, delete; ids are given or random', async ({ leases }) => {
    const random = await leases.create();
    assert.match(random.id, /^\d{1,9}-[A-Za-z0-9_-]{4}$/);
    const named = await leases.create({ id: 'named', labels: { a: 'b' } });
    assert.deepEqual(named.labels, { a: 'b' });
    await rejectsWith('AlreadyExists', leases.create({ id: 'named' }));
    assert.deepEqual((await leases.list()).map((lease) => lease.id).sort(), ['named', random.id].sort());
    await leases.delete('named');
    await rejectsWith('NotFound', leases.delete('named'));
    assert.deepEqual(
      (await leases.list()).map((lease) => lease.id),
      [random.id],
    );
  });

  check('expiresIn becomes the gc.expire label', async ({ leases }) => {
    const before = Date.now();
    const lease = await leases.create({ expiresIn: 3_600_000 });
    const expires = Date.parse(lease.labels[LEASE_EXPIRE_LABEL] ?? '');
    assert.ok(expires >= before + 3_599_000 && expires <= Date.now() + 3_601_000);
  });

  check('resources: each kind, twice is once, others are refused', async ({ leases }) => {
    const { id } = await leases.create();
    const digest = digestOf(bytesOf('x'));
    const resources = [
      { type: 'content', id: digest },
      { type: 'ingests', id: 'some-ref' },
      { type: 'snapshots/overlayfs', id: 'some-key' },
    ];
    for (const resource of [...resources, ...resources]) await leases.add(id, resource);
    assert.deepEqual(await leases.resources(id), resources);
    await rejectsWith('InvalidArgument', leases.add(id, { type: 'content', id: 'no digest' }));
    await rejectsWith('InvalidArgument', leases.add(id, { type: 'snapshots', id: 'x' }));
    await rejectsWith('InvalidArgument', leases.add(id, { type: 'snapshots/a/b', id: 'x' }));
    await rejectsWith('NotImplemented', leases.add(id, { type: 'containers', id: 'x' }));
    await rejectsWith('NotFound', leases.add('none', { type: 'ingests', id: 'x' }));
    await rejectsWith('NotFound', leases.resources('none'));
  });

  check('leases belong to their namespace', async ({ leases }, store) => {
    const other = (await store.open('testsuite-2')).leases;
    await leases.create({ id: 'mine' });
    assert.deepEqual(await other.list(), []);
    await rejectsWith('NotFound', other.delete('mine'));
    await other.create({ id: 'mine' });
  });

  check('an ingest under a lease is leased, then its blob', async ({ leases, content }) => {
    const { id } = await leases.create();
    const bytes = bytesOf('leased');
    const digest = digestOf(bytes);
    const ingest = await content.ingest('ref', { digest, size: bytes.length }, { lease: id });
    assert.deepEqual(await leases.resources(id), [{ type: 'ingests', id: 'ref' }]);
    await ingest.write(bytes);
    await ingest.commit();
    await close(ingest);
    assert.deepEqual(await leases.resources(id), [{ type: 'content', id: digest }]);
    const second = await leases.create();
    await rejectsWith('AlreadyExists', content.ingest('ref', { digest }, { lease: second.id }));
    assert.deepEqual(await leases.resources(second.id), [{ type: 'content', id: digest }]);
  });
}
