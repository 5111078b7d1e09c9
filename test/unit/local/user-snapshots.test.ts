/** What a user writes into a snapshot cannot be made anew: nothing that is taken for lost, and no other boot, takes it along. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApplyJob, HeldDir } from '../../../src/core/layers/workers.ts';
import type { Runtime } from '../../../src/core/runtime.ts';
import { rejectsWith } from '../../suites/content.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { needs } from '../../support/needs.ts';
import { addBlob, digestOf, someBytes, withStore } from '../../support/stores.ts';

const skip = needs({ root: true });
const LAYER = 'application/vnd.oci.image.layer.v1.tar';
const TIMES = { wait: 0, inflate: 0, verify: 0, apply: 0 };

interface World {
  readonly runtime: Runtime;
  /** The next openings see another boot. */
  reboot(): void;
  /** What happens while a sync runs; default: nothing. */
  onSync: () => Promise<void>;
  syncs: number;
}

function world(): World {
  const base = bareRuntime();
  let boot = 1;
  const readFile: Runtime['fs']['readFile'] = async (...args) =>
    args[0].endsWith('/boot_id')
      ? new TextEncoder().encode(`boot-${boot}\n`)
      : await base.fs.readFile(...args);
  const made: World = {
    syncs: 0,
    onSync: async () => {},
    reboot: () => {
      boot++;
    },
    runtime: {
      ...base,
      fs: { ...base.fs, readFile },
      workers: {
        ...base.workers,
        apply: async (_: ApplyJob) => {
          const diffId = digestOf(new Uint8Array());
          return {
            diffId,
            size: 0,
            entries: 0,
            times: TIMES,
            warnings: [],
            privileged: false,
            record: null,
          };
        },
        syncfs: async (_: readonly (string | HeldDir)[]) => {
          made.syncs++;
          await made.onSync();
        },
      },
    },
  };
  return made;
}

type Body = (store: Parameters<Parameters<typeof withStore>[0]>[0], world: World) => Promise<void>;

async function withWorld(body: Body): Promise<void> {
  const made = world();
  await withStore(async (store) => await body(store, made), { runtime: made.runtime });
}

test('a commit that fails leaves the snapshot what it was, also for the next boot', { skip }, async () => {
  await withWorld(async ({ backend, open }, { reboot }) => {
    const sn = backend.snapshotter();
    await sn.prepare('first', '');
    await sn.commit('taken', 'first');
    await sn.prepare('work', 'taken');
    await rejectsWith('AlreadyExists', sn.commit('taken', 'work'));
    reboot();
    const later = (await open()).snapshotter();
    assert.deepEqual((await later.list()).map(({ name }) => name).sort(), ['taken', 'work']);
  });
});

test('a commit is on the disk before it counts; whoever opens the store meanwhile drops nothing', {
  skip,
}, async () => {
  await withWorld(async ({ backend, open }, made) => {
    const sn = backend.snapshotter();
    await sn.prepare('work', '');
    made.onSync = async () => {
      assert.equal((await sn.stat('work')).kind, 'Active');
      await open();
    };
    await sn.commit('mine', 'work');
    assert.equal(made.syncs, 1);
    made.reboot();
    assert.equal((await (await open()).snapshotter().stat('mine')).kind, 'Committed');
  });
});

test('where the sync fails, the commit fails, and the snapshot stays', { skip }, async () => {
  await withWorld(async ({ backend, open }, made) => {
    const sn = backend.snapshotter();
    await sn.prepare('work', '');
    made.onSync = async () => {
      throw new Error('the disk is gone');
    };
    await assert.rejects(sn.commit('mine', 'work'), /the disk is gone/);
    made.reboot();
    const later = (await open()).snapshotter();
    assert.deepEqual(
      (await later.list()).map(({ name, kind }) => [name, kind]),
      [['work', 'Active']],
    );
  });
});

test('layers are durable before a user may write over them', { skip }, async () => {
  await withWorld(async ({ backend, open }, made) => {
    const sn = backend.snapshotter();
    const layer = { mediaType: LAYER, digest: await addBlob(backend, someBytes(2000)), size: 2000 };
    await backend.applier.apply(layer, await sn.prepare('extract-1-abcd sha256:a', ''));
    await sn.commit('layer', 'extract-1-abcd sha256:a');
    assert.equal(made.syncs, 0);
    await sn.view('look', 'layer');
    assert.equal(made.syncs, 0, 'a view holds nothing of a user');
    await sn.prepare('work', 'layer');
    assert.equal(made.syncs, 1);
    made.reboot();
    const later = (await open()).snapshotter();
    assert.deepEqual((await later.list()).map(({ name }) => name).sort(), ['layer', 'look', 'work']);
  });
});
