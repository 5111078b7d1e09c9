import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toPrepared } from '../../../src/backends/containerd/descriptors.ts';
import { Durable } from '../../../src/backends/containerd/durable.ts';
import { Unsynced } from '../../../src/backends/containerd/unsynced.ts';
import type { Labels } from '../../../src/core/content/content-store.ts';
import { HawserError, type Kind } from '../../../src/core/errors.ts';
import type { HeldDir } from '../../../src/core/layers/workers.ts';
import type { Call } from '../../../src/core/ports/call.ts';
import type { SnapshotInfo } from '../../../src/core/snapshots/snapshotter.ts';
import { failure } from '../../support/failure.ts';

const unsynced = (boot: string) =>
  new Unsynced({ readFile: async () => new TextEncoder().encode(`${boot}\n`) });

/** Committed snapshots by name, over their parents and with their marks; `remove` takes none that has another above it. */
function fakeSnapshots(given: Readonly<Record<string, { parent?: string; mark?: string; kind?: 'Active' }>>) {
  const infos = new Map<string, SnapshotInfo>();
  const times = { createdAt: 0, updatedAt: 0 };
  for (const [name, { parent = '', mark, kind = 'Committed' }] of Object.entries(given)) {
    const labels = mark === undefined ? {} : { 'hawser/unsynced': mark };
    infos.set(name, { name, kind, parent, labels, ...times });
  }
  return {
    name: 'overlayfs',
    infos,
    list: async () => [...infos.values()],
    removalOf: (name: string) => `rm ${name}`,
    listLabelled: async (label: string) => [...infos.values()].filter(({ labels }) => label in labels),
    label: async (name: string, labels: Labels) => {
      const info = infos.get(name);
      assert.ok(info);
      assert.deepEqual(labels, { 'hawser/unsynced': '' });
      infos.set(name, { ...info, labels: {} });
      return info;
    },
    remove: async (name: string) => {
      for (const { parent } of infos.values()) assert.notEqual(parent, name, 'children go first');
      infos.delete(name);
    },
  };
}

function recorded(kind?: Kind) {
  const synced: (string | HeldDir)[] = [];
  const workers = {
    syncfs: async (paths: readonly (string | HeldDir)[]) => {
      if (kind !== undefined) throw new HawserError(kind, 'syncfs');
      synced.push(...paths);
    },
  };
  return { durable: new Durable(workers, { settled: async () => {} }, unsynced('')), synced };
}
const overlay = {
  type: 'overlay',
  source: 'overlay',
  options: ['workdir=/s/2/work', 'upperdir=/s/2/fs', 'lowerdir=/s/1/fs'],
};
const bind = { type: 'bind', source: '/s/1/fs', options: ['rw', 'rbind'] };
const device = { type: 'ext4', source: '/dev/mapper/x', options: [] };

test('containerd durable: the file system written to is made durable, once', async () => {
  const { durable, synced } = recorded();
  await durable.sync();
  durable.wrote(toPrepared([bind]).trees);
  durable.wrote(toPrepared([overlay]).trees);
  await durable.sync();
  await durable.sync();
  assert.deepEqual(synced, ['/s/2/fs']);
});

test('containerd durable: a directory held open since before the writing is synced by its descriptor', async () => {
  const { durable, synced } = recorded();
  const held = { path: '/s', fd: 7 };
  durable.holds(held);
  durable.wrote(toPrepared([overlay]).trees);
  await durable.sync();
  assert.deepEqual(synced, [held]);
});

test('containerd durable: what is not a directory, or not ours, is left to containerd; a failing disk is not', async () => {
  const { durable, synced } = recorded();
  durable.wrote(toPrepared([device]).trees);
  await durable.sync();
  assert.deepEqual(synced, []);
  for (const kind of ['NotFound', 'PermissionDenied', 'FailedPrecondition'] as const) {
    const { durable } = recorded(kind);
    durable.wrote(toPrepared([bind]).trees);
    await durable.sync();
  }
  const broken = recorded('Internal').durable;
  broken.wrote(toPrepared([bind]).trees);
  assert.match((await failure(broken.sync())).message, /syncfs/);
});

test('containerd durable: after a failed sync the snapshots that it covered are removed, children first, and no others', async () => {
  const removed: string[] = [];
  let failing: 'sync' | 'write-out' | undefined;
  const fails = async (which: typeof failing) => {
    if (failing === which) throw new HawserError('Internal', `${which} failed`);
  };
  const workers = { syncfs: () => fails('sync') };
  const open = () => new Durable(workers, { settled: () => fails('write-out') }, unsynced(''));
  let durable = open();
  const snapshotter = {
    ...fakeSnapshots({}),
    label: async () => ({}) as SnapshotInfo,
    remove: async (name: string) => {
      if (name === 'used') throw new HawserError('FailedPrecondition', 'it has children');
      if (name === 'gone') throw new HawserError('NotFound', 'no such snapshot');
      removed.push(name);
    },
  };
  const commit = (...names: string[]) => {
    durable.wrote(toPrepared([bind]).trees);
    for (const name of names) durable.committed(snapshotter, name);
  };
  commit('synced');
  await durable.sync();
  for (failing of ['sync', 'write-out'] as const) {
    removed.length = 0;
    commit('one', 'gone', 'two');
    assert.equal((await failure(durable.sync())).message, `${failing} failed`);
    assert.deepEqual(removed, ['two', 'one']);
    durable = open();
  }
  commit('used', 'three');
  const err = (await failure(durable.sync())) as HawserError;
  assert.deepEqual([err.kind, err.message], ['DataLoss', 'write-out failed']);
  assert.match(err.hint ?? '', /may lack files.*: rm used$/);
});

const FAILING = { syncfs: () => Promise.reject(new HawserError('Internal', 'sync failed')) };

/** Snapshots of which none is removed that has another above it; `refuses` are in use by something else. */
function strictSnapshots(names: readonly string[], refuses: readonly string[] = []) {
  const given = Object.fromEntries(names.map((name, at) => [name, { parent: names[at - 1] ?? '' }]));
  const snapshots = fakeSnapshots(given);
  const remove = async (name: string) => {
    const hasChild = [...snapshots.infos.values()].some(({ parent }) => parent === name);
    if (hasChild || refuses.includes(name)) throw new HawserError('FailedPrecondition', 'in use');
    snapshots.infos.delete(name);
  };
  return { ...snapshots, remove };
}

test('containerd durable: in whatever order snapshots are found, after a failed sync none stays that can be removed', async () => {
  const orders = ['abc', 'acb', 'bac', 'bca', 'cab', 'cba'];
  for (const order of orders) {
    for (const [used, kept, named] of [
      [[], '', ''],
      [['a'], 'a', 'rm a'],
      [['b'], 'ab', 'rm a; rm b'],
      [['c'], 'abc', 'rm a; rm b; rm c'],
    ] as const) {
      const durable = new Durable(FAILING, { settled: async () => {} }, unsynced('now'));
      const snapshots = strictSnapshots(['a', 'b', 'c'], used);
      durable.wrote(toPrepared([bind]).trees);
      for (const name of order) durable.committed(snapshots, name);
      const err = (await failure(durable.sync())) as HawserError;
      assert.equal([...snapshots.infos.keys()].join(''), kept, order);
      assert.equal(err.message, 'sync failed');
      const told = /first what is over it: (.*)$/.exec(err.hint ?? '')?.[1] ?? '';
      assert.equal(told.split('; ').sort().join('; '), named);
    }
  }
});

test('containerd durable: after a failed sync every later one fails, for the snapshots of other pulls were removed with it', async () => {
  let isBroken = true;
  const workers = {
    syncfs: async () => {
      if (isBroken) throw new HawserError('Internal', 'sync failed');
    },
  };
  const durable = new Durable(workers, { settled: async () => {} }, unsynced(''));
  const snapshots = fakeSnapshots({ ours: {}, 'of another pull': {}, later: {}, last: {}, other: {} });
  durable.wrote(toPrepared([bind]).trees);
  for (const name of ['ours', 'of another pull']) durable.committed(snapshots, name);
  assert.equal((await failure(durable.sync())).message, 'sync failed');
  isBroken = false;
  assert.equal((await failure(durable.sync())).message, 'sync failed');
  durable.wrote(toPrepared([bind]).trees);
  durable.committed(snapshots, 'later');
  assert.equal((await failure(durable.sync())).message, 'sync failed');
  durable.committed(snapshots, 'last');
  await durable.close();
  assert.deepEqual([...snapshots.infos.keys()], ['other'], 'what was written since is not relied on either');
});

for (const fails of ['sync', 'write-out'] as const) {
  test(`containerd durable: a ${fails} that fails is heard though the pull ends for another reason`, async () => {
    const syncing = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const broken = () => Promise.reject(new HawserError('Internal', `${fails} failed`));
    const workers = {
      syncfs: async (_: unknown, call: Call = {}) => {
        syncing.resolve();
        await end.promise;
        call.signal?.throwIfAborted();
        if (fails === 'sync') await broken();
      },
    };
    let synced = false;
    const settled = async () => {
      if (synced && fails === 'write-out') await broken();
    };
    const durable = new Durable(workers, { settled }, unsynced(''));
    const snapshots = fakeSnapshots({ one: {}, two: { parent: 'one' } });
    durable.wrote(toPrepared([bind]).trees);
    for (const name of ['one', 'two']) durable.committed(snapshots, name);
    const stop = new AbortController();
    const aborted = failure(durable.sync({ signal: stop.signal }));
    await syncing.promise;
    synced = true;
    stop.abort(new Error('enough'));
    assert.equal((await aborted).message, 'enough');
    durable.committed(snapshots, 'two');
    end.resolve();
    await durable.close();
    assert.deepEqual([...snapshots.infos.keys()], []);
  });
}

test('containerd durable: a pull that is aborted before its sync leaves nothing that a write-out lost', async () => {
  const settled = () => Promise.reject(new HawserError('Internal', 'write-out failed'));
  const durable = new Durable({ syncfs: async () => {} }, { settled }, unsynced(''));
  const snapshots = fakeSnapshots({ one: {}, other: {} });
  durable.wrote(toPrepared([bind]).trees);
  durable.committed(snapshots, 'one');
  await durable.close();
  assert.deepEqual([...snapshots.infos.keys()], ['other']);
});

test('containerd durable: what is committed while a sync runs is left to the next one', async () => {
  const syncing = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const synced: unknown[] = [];
  const workers = {
    syncfs: async (dirs: unknown) => {
      synced.push(dirs);
      syncing.resolve();
      await end.promise;
    },
  };
  const durable = new Durable(workers, { settled: async () => {} }, unsynced('now'));
  const snapshots = fakeSnapshots({ one: { mark: 'now /s/1/fs' }, two: { mark: 'now /s/1/fs' } });
  durable.wrote(toPrepared([bind]).trees);
  durable.committed(snapshots, 'one');
  const first = durable.sync();
  await syncing.promise;
  durable.committed(snapshots, 'two');
  end.resolve();
  await first;
  assert.deepEqual(Object.keys(infoOf(snapshots, 'two').labels), ['hawser/unsynced']);
  await durable.sync();
  assert.deepEqual([synced.length, infoOf(snapshots, 'two').labels], [2, {}]);
});

const infoOf = ({ infos }: ReturnType<typeof fakeSnapshots>, name: string): SnapshotInfo => {
  const info = infos.get(name);
  assert.ok(info);
  return info;
};

test('containerd durable: what is committed is marked until it is durable, also what an earlier run left', async () => {
  const synced: unknown[] = [];
  const workers = { syncfs: async (dirs: unknown) => void synced.push(dirs) };
  const durable = new Durable(workers, { settled: async () => {} }, unsynced('now'));
  assert.deepEqual(await durable.mark({}), {}, 'no directory, no mark');
  durable.wrote(toPrepared([bind]).trees);
  assert.deepEqual(await durable.mark({}), { 'hawser/unsynced': 'now /s/1/fs' });
  const snapshots = fakeSnapshots({
    ours: { mark: 'now /s/1/fs' },
    left: { mark: 'now /s/0 1/fs' },
    old: {},
  });
  durable.committed(snapshots, 'ours');
  await durable.sync();
  for (const name of ['left', 'old']) assert.ok(await durable.relies(snapshots, infoOf(snapshots, name), {}));
  await durable.sync();
  assert.deepEqual(synced, [['/s/1/fs'], ['/s/0 1/fs']]);
  assert.deepEqual(await snapshots.listLabelled('hawser/unsynced'), []);
});

test('containerd durable: what another boot left without a sync, and all above it, counts as absent and makes way', async () => {
  const durable = new Durable({ syncfs: async () => {} }, { settled: async () => {} }, unsynced('now'));
  const snapshots = fakeSnapshots({
    whole: {},
    lost: { parent: 'whole', mark: 'before /s/2/fs' },
    above: { parent: 'lost', mark: 'before /s/3/fs' },
    beside: { parent: 'whole', mark: 'now /s/4/fs' },
  });
  const relied: string[] = [];
  for (const name of snapshots.infos.keys()) {
    if (await durable.relies(snapshots, infoOf(snapshots, name), {})) relied.push(name);
  }
  assert.deepEqual(relied, ['whole', 'beside']);
  assert.equal(await durable.makesWay(snapshots, 'whole', {}), false);
  assert.equal(await durable.makesWay(snapshots, 'lost', {}), true);
  assert.deepEqual([...snapshots.infos.keys()], ['whole', 'beside']);
});

test('containerd durable: what others made above a lost snapshot is not removed', async () => {
  for (const other of [{ parent: 'lost' }, { parent: 'lost', kind: 'Active', mark: 'before /s' }] as const) {
    const durable = new Durable({ syncfs: async () => {} }, { settled: async () => {} }, unsynced('now'));
    const snapshots = fakeSnapshots({ lost: { mark: 'before /s/2/fs' }, other });
    const err = (await failure(durable.makesWay(snapshots, 'lost', {}))) as HawserError;
    assert.deepEqual([err.kind, snapshots.infos.size], ['FailedPrecondition', 2]);
    assert.match(`${err.message} ${err.hint}`, /may lack files .* other uses it .*rm other$/);
  }
});

test('containerd durable: one caller’s abort is not another’s', async () => {
  const durable = new Durable({ syncfs: async () => {} }, { settled: async () => {} }, unsynced('now'));
  const listed = Promise.withResolvers<void>();
  const snapshots = fakeSnapshots({ lost: { mark: 'before /s' } });
  const slow = {
    ...snapshots,
    listLabelled: async (label: string, call: Call = {}) => {
      await listed.promise;
      call.signal?.throwIfAborted();
      return await snapshots.listLabelled(label);
    },
  };
  const stop = new AbortController();
  const info = infoOf(snapshots, 'lost');
  const aborted = failure(durable.relies(slow, info, { signal: stop.signal }));
  const other = durable.relies(slow, info, {});
  stop.abort(new Error('enough'));
  assert.equal((await aborted).message, 'enough');
  listed.resolve();
  assert.equal(await other, false);
});
