/**
 * A disk that fails while layers are unpacked, where a sync of another descriptor is told. Of a directory outside the store what
 * was there before stays, and the command fails; of a containerd's snapshots none stays, also when the pull is aborted.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openContainerdBackend } from '../../src/backends/containerd/open.ts';
import { openLocalBackend } from '../../src/backends/local/open.ts';
import type { Runtime } from '../../src/core/runtime.ts';
import { bundle, fetch, pull, unpackRootfs } from '../../src/mod.ts';
import { altered, image, rejectsWith, runtimeOf, withBench } from '../support/bench.ts';
import { startContainerd } from '../support/containerd.ts';
import { FailingDisk } from '../support/failing-disk.ts';
import { failure } from '../support/failure.ts';
import { hasFfi } from '../support/ffi.ts';
import { needs } from '../support/needs.ts';

/** Each layer is followed by what `after` does; a write-out comes at once, and every file system is a disk. */
function onDisk(base: Runtime, disk: FailingDisk, after: () => Promise<void>): Runtime {
  const { clock, fs, workers } = base;
  return {
    ...base,
    clock: { ...clock, now: () => clock.now(), sleep: (_, signal) => clock.sleep(1, signal) },
    fs: new Proxy(fs, {
      get: (_, key) => (key === 'isVolatile' ? async () => false : Reflect.get(fs, key)),
    }),
    workers: {
      ...workers,
      syncfs: disk.syncfs,
      apply: async (job, call) => {
        const applied = await workers.apply(job, call);
        await after();
        return applied;
      },
    },
  };
}

const HEARERS = {
  'the write-out is told': (disk: FailingDisk) => disk.synced(),
  'another process is told': (disk: FailingDisk) => disk.syncfs(['/']).catch(() => {}),
};

for (const [who, hear] of Object.entries(HEARERS)) {
  for (const [name, verb] of Object.entries({ unpackRootfs, bundle })) {
    test(`${name}: a write-back fails while layers are applied, and ${who}`, {
      skip: hasFfi() || who === 'the write-out is told' ? false : 'needs descriptors that can be synced: FFI',
    }, async () => {
      await withBench(async ({ store, registry }) => {
        const ref = registry.push('a/b', 'v1', await image('b'));
        await fetch(ref, { store });
        const dir = join(store.root, '../tree');
        mkdirSync(dir);
        writeFileSync(join(dir, 'precious'), 'old');
        const disk = new FailingDisk();
        let layers = 0;
        const runtime = onDisk(runtimeOf(store), disk, async () => {
          if (layers++ > 0) return;
          disk.fail();
          await hear(disk);
        });
        const opened = await openLocalBackend(runtime, { root: store.root, namespace: store.namespace });
        try {
          const failing = altered(store, opened, runtime);
          await rejectsWith('Internal', /EIO/, verb(ref, dir, { store: failing, force: true }));
        } finally {
          await opened[Symbol.asyncDispose]();
        }
        assert.equal(readFileSync(join(dir, 'precious'), 'utf8'), 'old');
        assert.deepEqual(readdirSync(join(dir, '..')).sort(), ['root', 'tree']);
      });
    });
  }
}

test('containerd: a write-out is told, then the pull is aborted: the next one unpacks all anew', {
  skip: needs({ root: true, tools: ['containerd', 'ctr'] }),
}, async () => {
  await withBench(async ({ store, registry }) => {
    const daemon = await startContainerd();
    const ref = registry.push('a/b', 'v1', await image('b'));
    const disk = new FailingDisk();
    const stop = new AbortController();
    let layers = 0;
    const runtime = onDisk(runtimeOf(store), disk, async () => {
      if (layers++ > 0) return stop.abort();
      disk.fail();
      await disk.synced();
    });
    const open = (by: Runtime) => openContainerdBackend(by, { address: daemon.socket, namespace: 'default' });
    const committed = async (): Promise<number> => {
      const sound = await open(runtimeOf(store));
      try {
        return (await sound.snapshotter().list()).length;
      } finally {
        await sound[Symbol.asyncDispose]();
      }
    };
    try {
      const opened = await open(runtime);
      try {
        const failing = altered(store, opened as never, runtime);
        await failure(pull(ref, { store: failing, signal: stop.signal }));
        assert.ok((await committed()) > 0);
      } finally {
        await opened[Symbol.asyncDispose]();
      }
      assert.equal(layers, 2);
      assert.equal(await committed(), 0);
    } finally {
      await daemon.close();
    }
  });
});
