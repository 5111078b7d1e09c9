/** What is not on the disk is not trusted: after failed syncs, power cuts, lost mounts and deaths in the middle of a sync. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type LocalBackend, openLocalBackend } from '../../../src/backends/local/open.ts';
import { HawserError, hintOf, kindOf, messageOf } from '../../../src/core/errors.ts';
import { extractKey } from '../../../src/core/layers/extract-key.ts';
import type { Workers } from '../../../src/core/layers/workers.ts';
import type { Runtime } from '../../../src/core/runtime.ts';
import { rejectsWith } from '../../suites/content.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { hasFfi } from '../../support/ffi.ts';
import { lossyFs } from '../../support/lossy-fs.ts';
import { needs } from '../../support/needs.ts';
import { bytesOf, close, digestOf, someBytes, withStore } from '../../support/stores.ts';

const skip = needs({ root: true });
let made = 0;

/** A committed snapshot, as a pull makes it. */
async function extract(backend: LocalBackend, name: string, parent = ''): Promise<void> {
  const sn = backend.snapshotter();
  const key = extractKey(name, 1_000_000 + made++);
  await sn.prepare(key, parent);
  await sn.commit(name, key);
}

async function names(backend: LocalBackend): Promise<string[]> {
  return (await backend.snapshotter().list()).map((one) => one.name);
}

/** A runtime whose syncs do as `syncfs` says. */
function syncing(syncfs: Workers['syncfs'], base: Runtime = bareRuntime()): Runtime {
  return { ...base, workers: { ...base.workers, syncfs } };
}

const EIO = new HawserError('Internal', 'syncing the file system: input/output error (EIO)', {
  reason: { type: 'errno', errno: 'EIO' },
});

test('durability: a sync that failed once drops what was not durable, for every process', {
  skip,
}, async () => {
  let fail = false;
  const runtime = syncing(async () => {
    if (fail) throw EIO;
  });
  await withStore(
    async ({ backend, open }) => {
      const other = await open();
      await extract(backend, 'safe');
      await backend.sync();
      await extract(backend, 'lost', 'safe');
      await extract(backend, 'above', 'lost');
      await extract(other, 'of another process', 'safe');
      assert.equal((await other.snapshotter().stat('lost')).kind, 'Committed');
      fail = true;
      const err = await rejectsWith('Internal', backend.sync());
      fail = false;
      assert.match(messageOf(err), /input\/output error/);
      assert.match(hintOf(err) ?? '', /dropped/);
      for (const one of [backend, other, await open(), await open('testing', true)]) {
        assert.deepEqual(await names(one), ['safe']);
        await rejectsWith('NotFound', one.snapshotter().stat('lost'));
      }
      await rejectsWith('Internal', backend.sync());
      await rejectsWith('DataLoss', other.sync());
      const next = await open();
      await extract(next, 'lost', 'safe');
      await next.sync();
      assert.deepEqual(await names(await open()), ['lost', 'safe']);
    },
    { runtime },
  );
});

test('durability: a write-out that failed while layers were applied does the same', {
  skip,
}, async () => {
  const base = bareRuntime();
  let fail = true;
  let ended = (): void => {};
  const failed = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const runtime: Runtime = {
    ...base,
    clock: { ...base.clock, sleep: (_, signal) => base.clock.sleep(1, signal) },
    fs: { ...base.fs, isVolatile: async () => false },
    workers: {
      ...base.workers,
      syncfs: async () => {
        if (!fail) return;
        setTimeout(ended, 20);
        throw EIO;
      },
      apply: async () => {
        await failed;
        const times = { wait: 0, inflate: 0, verify: 0, apply: 0 };
        return {
          diffId: digestOf(bytesOf('')),
          size: 0,
          entries: 0,
          times,
          warnings: [],
          privileged: false,
          record: null,
        };
      },
    },
  };
  await withStore(
    async ({ backend, open }) => {
      const bytes = bytesOf('a layer');
      const ingest = await backend.content.ingest('blob', {});
      await ingest.write(bytes);
      const digest = await ingest.commit();
      await close(ingest);
      const sn = backend.snapshotter();
      const snapshot = await sn.prepare('extract-1-2 a', '');
      const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: bytes.length };
      await backend.applier.apply(layer, snapshot);
      fail = false;
      await assert.rejects(sn.commit('a', 'extract-1-2 a'));
      await rejectsWith('Internal', backend.sync());
      assert.deepEqual(await names(await open()), []);
    },
    { runtime },
  );
});

interface Leftover {
  /** `ours`: of this boot and mount. */
  readonly mark: 'ours' | 'other boot' | 'other mount' | 'of an older hawser';
  readonly maker: 'alive' | 'dead';
  readonly sync?: 'of the dead' | 'of the living';
  readonly trusted: boolean;
}

const LEFTOVERS: readonly Leftover[] = [
  { mark: 'ours', maker: 'alive', trusted: true },
  { mark: 'ours', maker: 'dead', trusted: true },
  { mark: 'ours', maker: 'dead', sync: 'of the dead', trusted: false },
  { mark: 'ours', maker: 'dead', sync: 'of the living', trusted: true },
  { mark: 'ours', maker: 'alive', sync: 'of the dead', trusted: true },
  { mark: 'other mount', maker: 'dead', trusted: false },
  { mark: 'other mount', maker: 'alive', trusted: true },
  { mark: 'other boot', maker: 'dead', trusted: false },
  { mark: 'other boot', maker: 'alive', trusted: false },
  { mark: 'of an older hawser', maker: 'dead', trusted: false },
];

for (const { mark, maker, sync, trusted } of LEFTOVERS) {
  const died = sync === undefined ? '' : `, with a sync ${sync} under way`;
  test(`durability: a mark that is ${mark}, its maker ${maker}${died}: ${trusted ? 'trusted' : 'dropped'}`, {
    skip:
      skip ||
      (!hasFfi() && mark === 'ours' && maker === 'dead' && trusted ? 'needs the id of a mount: FFI' : false),
  }, async () => {
    await withStore(
      async ({ backend, root, open }) => {
        await extract(backend, 'layer');
        await backend.snapshotter().prepare('a user’s', '');
        const db = new DatabaseSync(`${root}/hawser.db`);
        const row = db.prepare("SELECT unsynced, owner FROM snapshots WHERE name = 'layer'").get();
        const ours = String(row?.unsynced);
        const [boot = '', mount = ''] = ours.split(' ');
        const marks = {
          ours,
          'other mount': `${boot} ${mount}0`,
          'other boot': `${boot}0 ${mount}`,
          'of an older hawser': boot,
        };
        const dead = 'dead0000dead0000';
        const owner = maker === 'dead' ? dead : String(row?.owner);
        db.prepare("UPDATE snapshots SET unsynced = ?, owner = ? WHERE name = 'layer'").run(
          marks[mark],
          owner,
        );
        if (sync !== undefined) {
          db.prepare('INSERT INTO syncing VALUES (?)').run(
            sync === 'of the dead' ? dead : String(row?.owner),
          );
        }
        const left = trusted ? ['a user’s', 'layer'] : ['a user’s'];
        assert.deepEqual(await names(await open('testing', true)), left);
        assert.equal(db.prepare('SELECT count(*) AS n FROM snapshots').get()?.n, 2, 'a reader dropped a row');
        assert.deepEqual(await names(await open()), left);
        assert.equal(db.prepare('SELECT count(*) AS n FROM snapshots').get()?.n, left.length);
        db.close();
      },
      { runtime: syncing(async () => {}) },
    );
  });
}

test('durability: a disk that was mounted anew takes what was not synced with it', {
  skip: skip || (hasFfi() ? false : 'needs the id of a mount: FFI'),
}, async () => {
  await withStore(async ({ backend, root, runtime }) => {
    await backend[Symbol.asyncDispose]();
    const mount = (): void => {
      assert.equal(spawnSync('mount', ['-t', 'tmpfs', 'none', `${root}/snapshots`]).status, 0);
    };
    const reopen = async (body: (backend: LocalBackend) => Promise<void>): Promise<void> => {
      const one = await openLocalBackend(runtime, { root, namespace: 'testing' });
      try {
        await body(one);
      } finally {
        await one[Symbol.asyncDispose]();
      }
    };
    mount();
    try {
      await reopen((one) => extract(one, 'layer'));
      await reopen(async (one) => assert.deepEqual(await names(one), ['layer']));
      assert.equal(spawnSync('umount', [`${root}/snapshots`]).status, 0);
      mount();
      await reopen(async (one) => assert.deepEqual(await names(one), []));
    } finally {
      spawnSync('umount', [`${root}/snapshots`]);
    }
  });
});

test('durability: a mount that changes under a process fails its sync', {
  skip: skip || (hasFfi() ? false : 'needs the id of a mount: FFI'),
}, async () => {
  await withStore(async ({ backend, root, open }) => {
    await extract(backend, 'layer');
    assert.equal(spawnSync('mount', ['-t', 'tmpfs', 'none', `${root}/snapshots`]).status, 0);
    try {
      await rejectsWith('DataLoss', backend.sync());
      assert.deepEqual(await names(await open()), []);
    } finally {
      spawnSync('umount', [`${root}/snapshots`]);
    }
  });
});

test('durability: what another process is syncing is durable only when that sync has ended', {
  skip,
}, async () => {
  let release: (() => void) | undefined;
  let fail = false;
  const slow = syncing(async () => {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    if (fail) throw EIO;
  });
  for (fail of [false, true]) {
    await withStore(
      async ({ backend, open }) => {
        const first = await open('testing', false, slow);
        await extract(first, 'layer');
        await backend.snapshotter().stat('layer');
        const syncingFirst = first.sync();
        while (release === undefined) await new Promise((done) => setTimeout(done, 5));
        let ended = false;
        const second = backend.sync().finally(() => {
          ended = true;
        });
        second.catch(() => {});
        await new Promise((done) => setTimeout(done, 200));
        assert.equal(ended, false);
        release();
        release = undefined;
        if (fail) {
          await rejectsWith('Internal', syncingFirst);
          await rejectsWith('DataLoss', second);
        } else {
          await syncingFirst;
          await second;
        }
      },
      { runtime: syncing(async () => {}) },
    );
  }
});

test('durability: a snapshot is asked for by a sync while a lease of this process’s work holds it, and not after', {
  skip,
}, async () => {
  await withStore(
    async ({ backend, open, root }) => {
      const other = await open();
      await extract(other, 'of another process');
      const held = { type: 'snapshots/overlayfs', id: 'of another process' };
      const work = async (): Promise<string> => {
        const lease = await backend.leases.create({ atWork: true, expiresIn: 60_000 });
        await backend.leases.add(lease.id, held);
        await backend.snapshotter().stat(held.id);
        return lease.id;
      };
      const [one, two, three] = [await work(), await work(), await work()];
      await other[Symbol.asyncDispose]();
      const db = new DatabaseSync(`${root}/hawser.db`);
      db.prepare("DELETE FROM snapshots WHERE name = 'of another process'").run();
      db.close();
      await extract(backend, 'another');
      await backend.leases.delete(one);
      await backend.leases.release?.(two, 1000);
      const relying = backend.sync();
      await rejectsWith('DataLoss', relying);
      const next = await open();
      await extract(next, 'third');
      assert.deepEqual(await backend.leases.resources(three), [held]);
      await next.sync();
    },
    { runtime: syncing(async () => {}) },
  );
});

test('durability: what the work of no lease relies on any more is no sync’s concern', { skip }, async () => {
  await withStore(
    async ({ backend, open }) => {
      const other = await open();
      await extract(other, 'of another process');
      for (const end of ['delete', 'release'] as const) {
        const lease = await backend.leases.create({ atWork: true, expiresIn: 60_000 });
        await backend.leases.add(lease.id, { type: 'snapshots/overlayfs', id: 'of another process' });
        await backend.snapshotter().stat('of another process');
        if (end === 'delete') await backend.leases.delete(lease.id);
        else await backend.leases.release?.(lease.id, 0);
      }
      await other.snapshotter().remove('of another process');
      await extract(backend, 'own');
      await backend.sync();
    },
    { runtime: syncing(async () => {}) },
  );
});

test('durability: a full disk below the database is no failed sync: nothing is dropped', {
  skip,
}, async () => {
  await withStore(
    async ({ backend, root }) => {
      await extract(backend, 'layer');
      const db = new DatabaseSync(`${root}/hawser.db`);
      db.exec("CREATE TRIGGER full BEFORE INSERT ON syncing BEGIN SELECT RAISE(ABORT, 'full'); END");
      await assert.rejects(backend.sync());
      db.exec('DROP TRIGGER full');
      db.close();
      await backend.sync();
      assert.deepEqual(await names(backend), ['layer']);
    },
    { runtime: syncing(async () => {}) },
  );
});

test('durability: a lost directory is told, extracted anew, and keeps what is above it', {
  skip,
}, async () => {
  await withStore(async ({ backend, root, open }) => {
    await extract(backend, 'base');
    await extract(backend, 'top', 'base');
    await backend.sync();
    await backend.snapshotter().prepare('mine', 'top');
    fs.rmSync(`${root}/snapshots/overlayfs/1`, { recursive: true });
    fs.rmSync(`${root}/snapshots/overlayfs/2`, { recursive: true });
    for (const one of [backend, await open('testing', true)]) {
      for (const name of ['base', 'top']) await rejectsWith('NotFound', one.snapshotter().stat(name));
    }
    await extract(backend, 'base');
    await extract(backend, 'top', 'base');
    await backend.sync();
    const sn = backend.snapshotter();
    assert.deepEqual(await names(backend), ['base', 'mine', 'top']);
    assert.equal((await sn.stat('top')).parent, 'base');
    assert.equal((await sn.stat('mine')).parent, 'top');
    const [mount] = await sn.mounts('mine');
    const lower = mount?.options.find((one) => one.startsWith('lowerdir='));
    const dir = `${root}/snapshots/overlayfs`;
    assert.equal(lower, `lowerdir=${dir}/5/fs:${dir}/4/fs`);
    await rejectsWith('AlreadyExists', extract(backend, 'top', 'base'));
  });
});

test('durability: directories that no record knows are left alone, and in nobody’s way', {
  skip,
}, async () => {
  await withStore(async ({ backend, root, runtime }) => {
    await extract(backend, 'a');
    await extract(backend, 'b', 'a');
    await backend[Symbol.asyncDispose]();
    for (const name of fs.readdirSync(root)) {
      if (name.startsWith('hawser.db')) fs.renameSync(`${root}/${name}`, `${root}/../${name}.old`);
    }
    const dir = `${root}/snapshots/overlayfs`;
    fs.writeFileSync(`${dir}/2/fs/written by a user`, '');
    fs.writeFileSync(`${dir}/3`, 'a file');
    fs.symlinkSync('/nowhere', `${dir}/4`);
    const again = await openLocalBackend(runtime, { root, namespace: 'testing' });
    try {
      await extract(again, 'a');
      await extract(again, 'b', 'a');
      await again.snapshotter('native').prepare('n', '');
      assert.ok(fs.existsSync(`${dir}/2/fs/written by a user`));
      assert.deepEqual(fs.readdirSync(dir).sort(), ['1', '2', '3', '4', '5', '6']);
      await again.snapshotter().prepare('k', 'b');
      assert.equal((await again.snapshotter().mounts('k')).length, 1);
    } finally {
      await again[Symbol.asyncDispose]();
    }
  });
});

test('durability: a mounted directory without a record outlives a collection', { skip }, async () => {
  for (const name of ['overlayfs', 'native']) {
    await withStore(async ({ backend, root, runtime }) => {
      const sn = backend.snapshotter(name);
      await sn.prepare('below', '');
      await sn.commit('base', 'below');
      await sn.prepare('mine', 'base');
      const mounts = await sn.mounts('mine');
      await sn.prepare('other', 'base');
      await backend[Symbol.asyncDispose]();
      for (const file of fs.readdirSync(root)) {
        if (file.startsWith('hawser.db')) fs.rmSync(`${root}/${file}`);
      }
      const place = `${root}-mnt`;
      fs.mkdirSync(place);
      const mounter = await runtime.mounter();
      await mounter.mount(mounts, place);
      try {
        fs.writeFileSync(`${place}/of a user`, 'data');
        const again = await openLocalBackend(runtime, { root, namespace: 'testing' });
        await again.collect();
        await again[Symbol.asyncDispose]();
        assert.equal(fs.readFileSync(`${place}/of a user`, 'utf8'), 'data');
        // The native snapshotter's trees are whole: what they were copied from is not needed.
        const left = name === 'native' ? ['2'] : ['1', '2'];
        assert.deepEqual(fs.readdirSync(`${root}/snapshots/${name}`).sort(), left);
      } finally {
        await mounter.unmount(place);
      }
    });
  }
});

test('durability: an ingest whose sync failed is not resumed from the page cache', async () => {
  const bytes = someBytes(100_000);
  for (const truncates of [true, false]) {
    const base = bareRuntime();
    const lossy = lossyFs(base.fs);
    let failed = false;
    const stubborn: typeof lossy.fs.open = async (...args) => {
      const file = await lossy.fs.open(...args);
      const truncate = async (size: number): Promise<void> => {
        if (!truncates && failed) throw EIO;
        await file.truncate(size);
      };
      return Object.assign(Object.create(file) as typeof file, { truncate });
    };
    const runtime = { ...base, fs: { ...lossy.fs, open: stubborn } };
    await withStore(
      async ({ backend, root, runtime }) => {
        const want = { digest: digestOf(bytes), size: bytes.length };
        const first = await backend.content.ingest('ref', want);
        await first.write(bytes);
        failed = true;
        lossy.failNextSync();
        assert.match(messageOf(await first.commit().catch((err) => err)), /input\/output error/);
        await close(first);
        const next = await backend.content.ingest('ref', want);
        assert.equal(next.offset, truncates ? 0 : bytes.length);
        await next.write(bytes.subarray(next.offset));
        await next.commit();
        await close(next);
        await backend[Symbol.asyncDispose]();
        lossy.cut();
        const reader = await openLocalBackend(runtime, { root, namespace: 'testing', readOnly: true });
        assert.equal(await reader.content.verify(want.digest), true, `truncates: ${truncates}`);
        await reader[Symbol.asyncDispose]();
      },
      { runtime },
    );
  }
});

test('durability: a blob whose directory could not be synced is not there', async () => {
  const base = bareRuntime();
  let fail = false;
  const runtime: Runtime = {
    ...base,
    fs: {
      ...base.fs,
      syncDir: async (path, call) => {
        if (fail && path.includes('/blobs/')) throw EIO;
        await base.fs.syncDir(path, call);
      },
    },
  };
  await withStore(
    async ({ backend }) => {
      const bytes = bytesOf('some bytes');
      const want = { digest: digestOf(bytes), size: bytes.length };
      const ingest = await backend.content.ingest('ref', want);
      await ingest.write(bytes);
      fail = true;
      await assert.rejects(ingest.commit(), /input\/output/);
      fail = false;
      await close(ingest);
      assert.equal(fs.existsSync(backend.content.blobPath(want.digest)), false);
      assert.equal(kindOf(await backend.content.info(want.digest).catch((err) => err)), 'NotFound');
    },
    { runtime },
  );
});
