import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toPrepared } from '../../../src/backends/containerd/descriptors.ts';
import { Durable } from '../../../src/backends/containerd/durable.ts';
import { HawserError, type Kind } from '../../../src/core/errors.ts';
import type { HeldDir } from '../../../src/core/layers/workers.ts';
import { failure } from '../../support/failure.ts';

function recorded(kind?: Kind) {
  const synced: (string | HeldDir)[] = [];
  const workers = {
    syncfs: async (paths: readonly (string | HeldDir)[]) => {
      if (kind !== undefined) throw new HawserError(kind, 'syncfs');
      synced.push(...paths);
    },
  };
  return { durable: new Durable(workers, { settled: async () => {} }), synced };
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
  const durable = new Durable(workers, { settled: () => fails('write-out') });
  const snapshotter = {
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
  }
  commit('used', 'three');
  const err = (await failure(durable.sync())) as HawserError;
  assert.deepEqual([err.kind, err.message], ['DataLoss', 'write-out failed']);
  assert.match(err.hint ?? '', /may lack files .*: used$/);
  failing = undefined;
  await durable.sync();
});
