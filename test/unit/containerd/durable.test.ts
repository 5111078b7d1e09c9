import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toPrepared } from '../../../src/backends/containerd/descriptors.ts';
import { Durable } from '../../../src/backends/containerd/durable.ts';
import { HawserError, type Kind } from '../../../src/core/errors.ts';
import { failure } from '../../support/failure.ts';

function recorded(kind?: Kind) {
  const synced: string[] = [];
  const workers = {
    syncfs: async (paths: readonly string[]) => {
      if (kind !== undefined) throw new HawserError(kind, 'syncfs');
      synced.push(...paths);
    },
  };
  return { durable: new Durable(workers), synced };
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
