import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { LocalBackend } from '../../../src/backends/local/open.ts';
import { reasonOf } from '../../../src/core/errors.ts';
import type { Runtime } from '../../../src/core/runtime.ts';
import { removeTree } from '../../../src/core/trees/remove-tree.ts';
import { rejectsWith } from '../../suites/content.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { needs } from '../../support/needs.ts';
import { unmountBelow } from '../../support/scratch.ts';
import {
  addBlob,
  bytesOf,
  close,
  collectStream,
  digestOf,
  someBytes,
  withStore,
} from '../../support/stores.ts';
import { openSyscalls } from '../../support/this-runtime.ts';

const HOUR = 3_600_000;
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const exists = (path: string): boolean => fs.existsSync(path);

/** A runtime whose wall clock can be set forward. */
function movable(): { runtime: Runtime; forward(ms: number): void } {
  const runtime = bareRuntime();
  let shift = 0;
  const clock = { ...runtime.clock, now: () => Date.now() + shift };
  return {
    runtime: { ...runtime, clock },
    forward: (ms) => {
      shift += ms;
    },
  };
}

async function digests(backend: LocalBackend): Promise<string[]> {
  return (await backend.content.list()).map((info) => info.digest);
}

test('an image keeps what its labels name; deleted, all goes, files too', async () => {
  await withStore(async ({ backend }) => {
    const layer = await addBlob(backend, someBytes(1000));
    const loose = await addBlob(backend, someBytes(100));
    const labels = { 'containerd.io/gc.ref.content.l.0': layer };
    const manifest = await addBlob(backend, someBytes(50), { labels });
    await backend.images.put('a', { mediaType: MANIFEST, digest: manifest, size: 50 }, {});
    assert.deepEqual(await backend.collect(), { blobs: 1, snapshots: 0, bytes: 100 });
    assert.deepEqual(await digests(backend), [layer, manifest].sort());
    assert.equal(exists(backend.content.blobPath(loose)), false);
    await backend.images.delete('a');
    assert.deepEqual(await backend.collect(), { blobs: 2, snapshots: 0, bytes: 1050 });
    assert.equal(exists(backend.content.blobPath(layer)), false);
    assert.deepEqual(await backend.collect(), { blobs: 0, snapshots: 0, bytes: 0 });
  });
});

test('a blob that two namespaces share stays until neither has it', async () => {
  await withStore(async ({ backend, open }) => {
    const bytes = someBytes(500);
    const root = { labels: { 'containerd.io/gc.root': '1' } };
    const digest = await addBlob(backend, bytes, root);
    const other = await open('other');
    await rejectsWith('AlreadyExists', other.content.ingest('r', { digest }));
    await other.content.label(digest, root.labels);
    await backend.content.delete(digest);
    assert.deepEqual(await backend.collect(), { blobs: 0, snapshots: 0, bytes: 0 });
    assert.deepEqual(await collectStream(await other.content.open(digest)), bytes);
    await other.content.delete(digest);
    assert.deepEqual(await other.collect(), { blobs: 1, snapshots: 0, bytes: 500 });
    assert.equal(exists(backend.content.blobPath(digest)), false);
  });
});

test('leases: time counts, then the lease goes too', async () => {
  const { runtime, forward } = movable();
  await withStore(
    async ({ backend }) => {
      const lease = await backend.leases.create({ expiresIn: HOUR });
      const digest = await addBlob(backend, someBytes(10), { lease: lease.id });
      assert.equal((await backend.collect()).blobs, 0);
      forward(HOUR + 1000);
      assert.equal((await backend.collect()).blobs, 1);
      assert.deepEqual(await backend.leases.list(), []);
      await rejectsWith('NotFound', backend.content.info(digest));
    },
    { runtime },
  );
});

test('a lease without id and time ends with its store; one with either stays', async () => {
  await withStore(async ({ backend, open }) => {
    const gone = await open();
    const bound = await gone.leases.create();
    const timed = await gone.leases.create({ expiresIn: HOUR });
    const named = await gone.leases.create({ id: 'named' });
    const of = new Map<string, string>();
    for (const { id } of [bound, timed, named]) of.set(id, await addBlob(gone, someBytes(20), { lease: id }));
    assert.equal((await backend.collect()).blobs, 0);
    await gone[Symbol.asyncDispose]();
    assert.equal((await backend.collect()).blobs, 1);
    assert.deepEqual(await digests(backend), [of.get(timed.id), of.get('named')].sort());
    assert.deepEqual((await backend.leases.list()).map((one) => one.id).sort(), [timed.id, 'named'].sort());
  });
});

test('ingests: being written or a day young stays; older goes with its files', async () => {
  const { runtime, forward } = movable();
  await withStore(
    async ({ backend, root }) => {
      const written = await backend.content.ingest('written', {});
      const left = await backend.content.ingest('left', {});
      await left.write(bytesOf('abc'));
      await close(left);
      forward(23 * HOUR);
      await backend.collect();
      assert.equal((await backend.content.listStatuses()).length, 2);
      forward(2 * HOUR);
      await backend.collect();
      assert.deepEqual(
        (await backend.content.listStatuses()).map((status) => status.ref),
        ['written'],
      );
      assert.equal(fs.readdirSync(`${root}/content/ingest`).length, 1);
      await written.write(bytesOf('x'));
      await written.commit();
      await close(written);
    },
    { runtime },
  );
});

test('strays are tolerated, orphans of a crash go without any other deletion', async () => {
  await withStore(async ({ backend, root }) => {
    const kept = await addBlob(backend, someBytes(10), { labels: { 'containerd.io/gc.root': '1' } });
    const orphan = backend.content.blobPath(digestOf(bytesOf('orphan')));
    fs.writeFileSync(orphan, 'orphan');
    const stray = `${root}/content/blobs/sha256/stray.tmp`;
    fs.writeFileSync(stray, 'x');
    fs.mkdirSync(`${root}/content/blobs/md5`);
    const ingest = `${root}/content/ingest/${'0'.repeat(64)}`;
    fs.mkdirSync(ingest);
    fs.writeFileSync(`${ingest}/data`, 'x');
    for (const name of ['77', 'new-123', '007', 'a user’s'])
      fs.mkdirSync(`${root}/snapshots/native/${name}/x`, { recursive: true });
    const result = await backend.collect();
    assert.deepEqual(result, { blobs: 1, snapshots: 0, bytes: 6 });
    assert.deepEqual([orphan, stray, ingest].map(exists), [false, true, false]);
    assert.deepEqual(fs.readdirSync(`${root}/snapshots/native`).sort(), ['007', 'a user’s', 'new-123']);
    assert.deepEqual(await digests(backend), [kept]);
  });
});

test('a note of a file to remove goes with the dead process that made it, whether the file is there or not', async () => {
  await withStore(async ({ backend, root }) => {
    const orphan = backend.content.blobPath(digestOf(bytesOf('orphan')));
    fs.mkdirSync(dirname(orphan), { recursive: true });
    fs.writeFileSync(orphan, 'orphan');
    const db = new DatabaseSync(`${root}/hawser.db`);
    try {
      const note = db.prepare('INSERT INTO doomed VALUES (?, ?)');
      for (const path of [orphan.slice(root.length + 1), `content/blobs/sha256/${'0'.repeat(64)}`])
        note.run(path, '0123456789abcdef');
      assert.deepEqual(await backend.collect(), { blobs: 1, snapshots: 0, bytes: 6 });
      assert.deepEqual(db.prepare('SELECT path FROM doomed').all(), []);
    } finally {
      db.close();
    }
  });
});

test('snapshots: chains stay with what names them, else records and trees go', {
  skip: needs({ root: true }),
}, async () => {
  await withStore(async ({ backend, root }) => {
    const sn = backend.snapshotter('overlayfs');
    const { id: lease } = await backend.leases.create();
    let parent = '';
    for (const name of ['S1', 'S2', 'S3']) {
      await sn.prepare(`k-${name}`, parent, { lease });
      await sn.commit(name, `k-${name}`, { lease });
      parent = name;
    }
    await sn.prepare('extract', 'S3', { lease });
    assert.equal((await backend.collect()).snapshots, 0);
    const config = await addBlob(backend, someBytes(30), {
      labels: { 'containerd.io/gc.ref.snapshot.overlayfs': 'S2', 'containerd.io/gc.root': '1' },
    });
    await backend.leases.delete(lease);
    assert.equal((await backend.collect()).snapshots, 2);
    assert.deepEqual(
      (await sn.list()).map((one) => one.name),
      ['S1', 'S2'],
    );
    assert.equal(fs.readdirSync(`${root}/snapshots/overlayfs`).length, 2);
    await backend.content.delete(config);
    assert.equal((await backend.collect()).snapshots, 2);
    assert.deepEqual(fs.readdirSync(`${root}/snapshots/overlayfs`), []);
  });
});

test('snapshots: a directory in which something is mounted stays until that is unmounted; the others go', {
  skip: needs({ root: true, tools: ['mount', 'umount'] }),
}, async () => {
  const bare = bareRuntime();
  const remove = async (path: string) => removeTree(openSyscalls(), path);
  const runtime = { ...bare, workers: { ...bare.workers, removeTree: remove } };
  await withStore(
    async ({ backend, root }) => {
      const sn = backend.snapshotter('overlayfs');
      const { id: lease } = await backend.leases.create();
      for (const key of ['k1', 'k2', 'k3']) await sn.prepare(key, '', { lease });
      await backend.leases.delete(lease);
      const target = `${root}/snapshots/overlayfs/2/fs/home`;
      fs.mkdirSync(target);
      assert.equal(spawnSync('mount', ['-t', 'tmpfs', 'none', target]).status, 0);
      try {
        fs.writeFileSync(`${target}/precious`, '');
        for (let n = 0; n < 2; n++) {
          await assert.rejects(backend.collect(), (err) => reasonOf(err, 'mounted')?.at === target);
          assert.deepEqual(fs.readdirSync(`${root}/snapshots/overlayfs`), ['2']);
          assert.deepEqual(fs.readdirSync(target), ['precious']);
        }
      } finally {
        await unmountBelow(root);
      }
      await backend.collect();
      assert.deepEqual(fs.readdirSync(`${root}/snapshots/overlayfs`), []);
    },
    { runtime },
  );
});

const STRANGE = `content/blobs/sha256/${'a'.repeat(64)}`;

const IN_THE_WAY: Readonly<Record<string, (backend: LocalBackend, root: string) => Promise<unknown>>> = {
  'a directory in the place of a blob, to be collected': (backend) => backend.collect(),
  'an ingest of nobody, to be collected': (backend, root) => {
    fs.renameSync(`${root}/${STRANGE}`, `${root}/content/ingest/${'a'.repeat(64)}`);
    return backend.collect();
  },
  'a directory in the place of a blob that comes': async (backend, root) => {
    const bytes = bytesOf('comes');
    fs.renameSync(`${root}/${STRANGE}`, `${root}/content/blobs/sha256/${digestOf(bytes).slice(7)}`);
    await addBlob(backend, bytes);
  },
};

for (const [what, act] of Object.entries(IN_THE_WAY)) {
  test(`${what}: what is mounted in there stays, though mounts cannot be listed`, {
    skip: needs({ root: true, tools: ['mount', 'umount'] }),
  }, async () => {
    const bare = bareRuntime();
    const sys = new Proxy(openSyscalls(), {
      get: (to, key) => {
        const value: unknown = key === 'mountsBelow' ? () => [] : Reflect.get(to, key);
        return typeof value === 'function' ? value.bind(to) : value;
      },
    });
    const remove: typeof bare.fs.remove = async (path, opts = {}) =>
      opts.tree === true ? fs.rmSync(path, { recursive: true, force: true }) : await bare.fs.remove(path);
    const runtime = {
      ...bare,
      fs: { ...bare.fs, remove },
      workers: { ...bare.workers, removeTree: async (path: string) => removeTree(sys, path) },
    };
    await withStore(
      async ({ backend, root }) => {
        const own = `${root}/mine`;
        fs.mkdirSync(own);
        fs.writeFileSync(`${own}/precious`, '');
        fs.mkdirSync(`${root}/${STRANGE}/m`, { recursive: true });
        assert.equal(spawnSync('mount', ['--bind', own, `${root}/${STRANGE}/m`]).status, 0);
        try {
          await assert.rejects(act(backend, root), (err) => reasonOf(err, 'mounted') !== undefined);
          assert.deepEqual(fs.readdirSync(own), ['precious']);
        } finally {
          await unmountBelow(root);
        }
      },
      { runtime },
    );
  });
}

test('a snapshot in which something is mounted is not removed, neither record nor directory', {
  skip: needs({ root: true, tools: ['mount', 'umount'] }),
}, async () => {
  await withStore(async ({ backend, root }) => {
    const sn = backend.snapshotter('overlayfs');
    await sn.prepare('k', '');
    const target = `${root}/snapshots/overlayfs/1/fs/home`;
    fs.mkdirSync(target);
    assert.equal(spawnSync('mount', ['--bind', root, target]).status, 0);
    try {
      await assert.rejects(sn.remove('k'), (err) => reasonOf(err, 'mounted')?.at === target);
      assert.equal((await sn.stat('k')).kind, 'Active');
      assert.ok(exists(`${root}/snapshots/overlayfs/1/work`));
    } finally {
      await unmountBelow(root);
    }
    await sn.remove('k');
    assert.deepEqual(fs.readdirSync(`${root}/snapshots/overlayfs`), []);
  });
});

const SHOWN: Readonly<Record<string, (dir: string, root: string) => readonly string[]>> = {
  'a bind mount': (dir) => ['--bind', `${dir}/fs`],
  'an overlay': (dir, root) => [
    ...['-t', 'overlay', '-o', `lowerdir=${root}/run,upperdir=${dir}/fs,workdir=${dir}/work`, 'none'],
  ],
};

for (const [title, mountOf] of Object.entries(SHOWN)) {
  test(`a snapshot that ${title} shows elsewhere is not removed, neither record nor directory`, {
    skip: needs({ root: true, tools: ['mount', 'umount'] }),
  }, async (t) => {
    await withStore(async ({ backend, root }) => {
      const sn = backend.snapshotter('overlayfs');
      const elsewhere = `${root}/elsewhere`;
      fs.mkdirSync(elsewhere);
      await sn.prepare('k', '');
      const dir = `${root}/snapshots/overlayfs/1`;
      fs.writeFileSync(`${dir}/fs/precious`, '');
      const { status, stderr } = spawnSync('mount', [...mountOf(dir, root), elsewhere], { encoding: 'utf8' });
      if (status !== 0) {
        assert.equal(title, 'an overlay', stderr);
        return t.skip('overlayfs does not take this file system for an upper directory');
      }
      try {
        await assert.rejects(sn.remove('k'), (err) => reasonOf(err, 'mounted')?.at === elsewhere);
        assert.equal((await sn.stat('k')).kind, 'Active');
        assert.deepEqual(fs.readdirSync(`${dir}/fs`), ['precious']);
      } finally {
        await unmountBelow(elsewhere);
      }
      await sn.remove('k');
      assert.deepEqual(fs.readdirSync(`${root}/snapshots/overlayfs`), []);
    });
  });
}

test('snapshots: those that are older than their parents go with them', {
  skip: needs({ root: true }),
}, async () => {
  const bare = bareRuntime();
  const runtime = { ...bare, workers: { ...bare.workers, rebase: async () => null } };
  await withStore(
    async ({ backend, root }) => {
      const sn = backend.snapshotter('overlayfs');
      for (const key of ['k3', 'k2', 'k1']) await sn.prepare(key, '');
      await sn.commit('S1', 'k1');
      for (const [name, key, parent] of [
        ['S2', 'k2', 'S1'],
        ['S3', 'k3', 'S2'],
      ] as const) {
        await sn.rebase?.(key, parent, { nodes: [], guesses: [] });
        await sn.commit(name, key);
      }
      assert.equal((await sn.stat('S3')).parent, 'S2');
      await backend.sync();
      assert.equal((await backend.collect()).snapshots, 3);
      assert.deepEqual(fs.readdirSync(`${root}/snapshots/overlayfs`), []);
    },
    { runtime },
  );
});

test('collecting while others fetch the same blobs never loses one (H49)', async () => {
  await withStore(async ({ backend, open }) => {
    const other = await open();
    const blobs = Array.from({ length: 12 }, () => someBytes(2000));
    const lease = await other.leases.create();
    const fetching = (async () => {
      for (let round = 0; round < 4; round++) {
        for (const bytes of blobs) {
          try {
            await addBlob(other, bytes, round === 3 ? { lease: lease.id } : {});
          } catch (err) {
            assert.match(String(err), /already exists/);
            if (round === 3)
              await rejectsWith(
                'AlreadyExists',
                other.content.ingest('x', { digest: digestOf(bytes) }, { lease: lease.id }),
              );
          }
        }
      }
    })();
    let fetched = false;
    const collecting = (async () => {
      while (!fetched) await backend.collect();
    })();
    await fetching;
    fetched = true;
    await collecting;
    await backend.collect();
    for (const bytes of blobs)
      assert.deepEqual(await collectStream(await other.content.open(digestOf(bytes))), bytes);
  });
});

test('images that expired leave index.json too', async () => {
  const { runtime, forward } = movable();
  await withStore(
    async ({ backend, root }) => {
      const digest = await addBlob(backend, someBytes(10));
      const expires = new Date(Date.now() + HOUR).toISOString();
      await backend.images.put(
        'a',
        { mediaType: MANIFEST, digest, size: 10 },
        { 'containerd.io/gc.expire': expires },
      );
      await backend.collect();
      assert.equal((await backend.images.list()).length, 1);
      forward(2 * HOUR);
      assert.equal((await backend.collect()).blobs, 1);
      assert.deepEqual(await backend.images.list(), []);
      assert.deepEqual(JSON.parse(fs.readFileSync(`${root}/content/index.json`, 'utf8')).manifests, []);
    },
    { runtime },
  );
});
