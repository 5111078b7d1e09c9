/** Readers make and write nothing, and read where nothing can be written. A full disk can be listed and freed. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type LocalBackend, openLocalBackend } from '../../../src/backends/local/open.ts';
import { isKind, type Kind, kindOf } from '../../../src/core/errors.ts';
import type { Runtime } from '../../../src/core/runtime.ts';
import { rejectsWith } from '../../suites/content.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { needs } from '../../support/needs.ts';
import { fillDisk, onSmallDisk } from '../../support/small-disk.ts';
import { addBlob, bytesOf, collectStream, digestOf, someBytes, withStore } from '../../support/stores.ts';
import { tempDir } from '../../support/tmp.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const BYTES = bytesOf('{"a manifest":1}');
const target = { mediaType: MANIFEST, digest: digestOf(BYTES), size: BYTES.length };

/** Every file below a directory with its size and times; access times aside. */
function listing(dir: string): string[] {
  return fs
    .readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { size, mtimeMs, mode } = fs.lstatSync(`${dir}/${name}`);
      return `${name} ${size} ${mtimeMs} ${mode}`;
    });
}

async function reading<T>(
  runtime: Runtime,
  root: string,
  body: (reader: LocalBackend) => Promise<T>,
): Promise<T> {
  const reader = await openLocalBackend(runtime, { root, namespace: 'testing', readOnly: true });
  try {
    return await body(reader);
  } finally {
    await reader[Symbol.asyncDispose]();
  }
}

/** Reads a bit of everything. */
async function look(reader: LocalBackend): Promise<string[]> {
  const names = (await reader.images.list()).map((one) => one.name);
  assert.deepEqual(await reader.leases.list(), []);
  for (const { digest } of await reader.content.list())
    await collectStream(await reader.content.open(digest));
  await reader.snapshotter().list();
  assert.equal(kindOf(await reader.content.ingest('ref', {}).catch((err) => err)), 'FailedPrecondition');
  return names;
}

async function fill(backend: LocalBackend): Promise<void> {
  await addBlob(backend, BYTES);
  await backend.images.put('a', target, {});
}

/** A crash leaves the log without the shared memory after a reboot, or both. */
async function crashedThenRead(runtime: Runtime, root: string): Promise<string[]> {
  const backend = await openLocalBackend(runtime, { root, namespace: 'testing' });
  await backend.images.put('a', target, {});
  const copy = crashed(root);
  await backend[Symbol.asyncDispose]();
  const before = listing(copy);
  const names = await reading(runtime, copy, look);
  assert.deepEqual(listing(copy), before);
  return names;
}

/** Opens a store that can only be read for a verb that would rather write: it reads, and a change fails with the reason. */
async function asFarAsPossible(runtime: Runtime, root: string, kind: Kind, reason: RegExp): Promise<void> {
  const opts = { root, namespace: 'testing', readOnly: 'if-need-be' } as const;
  const backend = await openLocalBackend(runtime, opts);
  try {
    const lease = await backend.leases.create({ expiresIn: 1000 });
    await backend.leases.add(lease.id, { type: 'content', id: target.digest });
    assert.ok((await backend.images.list()).length > 0);
    assert.match(String(await rejectsWith(kind, backend.images.put('b', target, {}))), reason);
    const [image] = await backend.images.list();
    await rejectsWith(kind, backend.images.delete(image?.name ?? ''));
    await backend.leases.delete(lease.id);
  } finally {
    await backend[Symbol.asyncDispose]();
  }
}

/** Copies the store as it is while it is open: with a log, as a crash leaves it. */
function crashed(root: string): string {
  const copy = `${root}-crashed`;
  fs.cpSync(root, copy, { recursive: true });
  fs.rmSync(`${copy}/hawser.db-shm`);
  return copy;
}

test('a reader changes nothing: a closed store, an empty file, no store at all', async () => {
  await withStore(async ({ backend, root, runtime }) => {
    await fill(backend);
    await backend[Symbol.asyncDispose]();
    const before = listing(root);
    assert.ok(!before.some((one) => one.startsWith('hawser.db-')));
    assert.deepEqual(await reading(runtime, root, look), ['a']);
    assert.deepEqual(listing(root), before);
    assert.deepEqual(await crashedThenRead(runtime, root), ['a']);
    const empty = `${root}-empty`;
    fs.mkdirSync(empty, { mode: 0o700 });
    fs.writeFileSync(`${empty}/hawser.db`, '', { mode: 0o600 });
    assert.deepEqual(await reading(runtime, empty, look), []);
    assert.deepEqual(fs.readdirSync(empty), ['hawser.db']);
    assert.equal(fs.statSync(`${empty}/hawser.db`).size, 0);
    assert.deepEqual(await reading(runtime, `${root}-none`, look), []);
    assert.ok(!fs.existsSync(`${root}-none`));
  });
});

test('a reader sees what is written after it was opened, by a first writer too', async () => {
  await withStore(async ({ backend, root, runtime }) => {
    await fill(backend);
    await backend[Symbol.asyncDispose]();
    await reading(runtime, root, async (reader) => {
      assert.equal((await reader.images.list()).length, 1);
      const writer = await openLocalBackend(runtime, { root, namespace: 'testing' });
      for (let n = 0; n < 50; n++) {
        await writer.images.put(`b-${n}`, target, { n: 'x'.repeat(1000) });
        assert.equal((await reader.images.list()).length, n + 2);
      }
      await writer[Symbol.asyncDispose]();
      assert.equal((await reader.images.list()).length, 51);
    });
  });
});

test('a store that can be written to is, also when reading would do', async () => {
  await withStore(async ({ backend, root, runtime }) => {
    await fill(backend);
    const opts = { root, namespace: 'testing', readOnly: 'if-need-be' } as const;
    const other = await openLocalBackend(runtime, opts);
    await other.leases.create({ id: 'real' });
    await other[Symbol.asyncDispose]();
    assert.deepEqual(
      (await backend.leases.list()).map((one) => one.id),
      ['real'],
    );
  });
});

test('a store with a newer format is refused by a reader too', async () => {
  await withStore(async ({ backend, root, runtime }) => {
    await backend[Symbol.asyncDispose]();
    const db = new DatabaseSync(`${root}/hawser.db`);
    db.exec('PRAGMA user_version = 99');
    db.close();
    await rejectsWith('FailedPrecondition', reading(runtime, root, look));
  });
});

const MOUNTS = needs({ root: true, tools: ['mount', 'umount'] });

for (const state of ['closed', 'crashed'] as const) {
  test(`a read-only file system: a store that was ${state} is read`, { skip: MOUNTS }, async () => {
    const dir = tempDir();
    const place = `${dir.path}/m`;
    fs.mkdirSync(place);
    assert.equal(spawnSync('mount', ['-t', 'tmpfs', 'none', place]).status, 0);
    try {
      const runtime = bareRuntime();
      const backend = await openLocalBackend(runtime, { root: `${place}/store`, namespace: 'testing' });
      await fill(backend);
      const root = state === 'crashed' ? crashed(`${place}/store`) : `${place}/store`;
      await backend[Symbol.asyncDispose]();
      assert.equal(fs.existsSync(`${root}/hawser.db-wal`), state === 'crashed');
      assert.equal(spawnSync('mount', ['-o', 'remount,ro', place]).status, 0);
      const before = listing(root);
      assert.deepEqual(await reading(runtime, root, look), ['a']);
      assert.deepEqual(listing(root), before);
      const err = await openLocalBackend(runtime, { root, namespace: 'testing' }).catch((one) => one);
      assert.equal(kindOf(err), 'PermissionDenied');
      assert.match(String(err), /read-only file system \(EROFS\)/);
      await asFarAsPossible(runtime, root, 'PermissionDenied', /EROFS/);
    } finally {
      spawnSync('umount', [place]);
      dir[Symbol.dispose]();
    }
  });
}

test('a full disk: what is there is listed, and what is removed frees space', {
  skip: MOUNTS,
}, async () => {
  await onSmallDisk(24, async (place) => {
    const runtime = bareRuntime();
    const root = `${place}/store`;
    const writing = async (body: (backend: LocalBackend) => Promise<void>): Promise<void> => {
      const backend = await openLocalBackend(runtime, { root, namespace: 'testing' });
      try {
        await body(backend);
      } finally {
        await backend[Symbol.asyncDispose]();
      }
    };
    await writing(async (backend) => {
      for (let n = 0; n < 4; n++) {
        const bytes = someBytes(3 << 20);
        const digest = await addBlob(backend, bytes);
        await backend.images.put(`image-${n}`, { mediaType: MANIFEST, digest, size: bytes.length }, {});
      }
    });
    fillDisk(place);
    assert.equal(fs.statfsSync(place).bfree, 0);
    assert.equal((await reading(runtime, root, look)).length, 4);
    await writing(async (backend) => {
      const err = await backend.images.put('one more', target, {}).catch((one) => one);
      assert.ok(isKind(err, 'ResourceExhausted'), String(err));
    });
    await asFarAsPossible(runtime, root, 'ResourceExhausted', /full|ENOSPC/);
    assert.ok(fs.existsSync(`${root}/spare`), 'a store that is only read keeps its spare room');
    fillDisk(place);
    await writing(async (backend) => {
      assert.deepEqual(await backend.images.deleteAll(['image-0', 'image-1']), ['image-0', 'image-1']);
      await backend.collect();
    });
    const free = fs.statfsSync(place);
    assert.ok(free.bfree * free.bsize > 5 << 20, `${free.bfree * free.bsize} bytes free`);
    assert.equal((await reading(runtime, root, look)).length, 2);
    await writing(async (backend) => {
      assert.equal((await backend.images.list()).length, 2);
      assert.equal(JSON.parse(fs.readFileSync(`${root}/content/index.json`, 'utf8')).manifests.length, 2);
    });
    assert.ok(fs.existsSync(`${root}/spare`));
  });
});

test('many images are removed with one writing of index.json', async () => {
  const base = bareRuntime();
  let written = 0;
  const rename: typeof base.fs.rename = async (from, to, call) => {
    if (to.endsWith('/index.json')) written++;
    await base.fs.rename(from, to, call);
  };
  await withStore(
    async ({ backend, root }) => {
      const names = Array.from({ length: 40 }, (_, n) => `image-${n}`);
      await Promise.all(names.map((name) => backend.images.put(name, target, {})));
      written = 0;
      assert.deepEqual(await backend.images.deleteAll([...names.slice(1), 'absent']), names.slice(1));
      assert.equal(written, 1);
      assert.equal(JSON.parse(fs.readFileSync(`${root}/content/index.json`, 'utf8')).manifests.length, 1);
    },
    { runtime: { ...base, fs: { ...base.fs, rename } } },
  );
});

test('files that a kill left beside index.json are removed by the next opening', async () => {
  await withStore(async ({ backend, root, open }) => {
    await fill(backend);
    const content = `${root}/content`;
    const left = ['.index.json.0123456789abcdef', '.index.json.0123456789ab', '.oci-layout.0123456789abcdef'];
    const mine = `.index.json.${fs.readdirSync(`${root}/run`)[0]?.replace('.lock', '')}`;
    const others = [mine, '.somebody’s', '.oci-layout.00ff', '.index.json.beef'];
    for (const name of [...left, ...others]) fs.writeFileSync(`${content}/${name}`, '');
    const directory = '.index.json.fedcba9876543210';
    fs.mkdirSync(`${content}/${directory}`);
    await open();
    const hidden = fs.readdirSync(content).filter((name) => name.startsWith('.'));
    assert.deepEqual(hidden.sort(), [...others, directory].sort());
  });
});

test('files of dead processes in run/ are removed by a collection, others stay', async () => {
  await withStore(async ({ backend, root }) => {
    const run = `${root}/run`;
    const [mine] = fs.readdirSync(run);
    const dead = '0123456789abcdef';
    const others = ['a user’s', 'cafe.txt', `${dead}0.room`, `0${mine}.lock`];
    for (const name of [`${dead}.room`, `${dead}.lock`, `${mine}.room`, ...others])
      fs.writeFileSync(`${run}/${name}`, '');
    await backend.collect();
    assert.deepEqual(fs.readdirSync(run).sort(), [mine, `${mine}.room`, ...others].sort());
  });
});

test('put returns what it put, whatever others do meanwhile', async () => {
  const base = bareRuntime();
  let meanwhile = async (): Promise<void> => {};
  const rename: typeof base.fs.rename = async (from, to, call) => {
    await base.fs.rename(from, to, call);
    if (to.endsWith('/index.json')) await meanwhile();
  };
  await withStore(
    async ({ backend, open }) => {
      const other = await open('testing', false, bareRuntime());
      meanwhile = async () => {
        meanwhile = async () => {};
        await other.images.delete('a');
      };
      const image = await backend.images.put('a', target, { l: 'v' });
      assert.deepEqual([image.name, image.target, image.labels], ['a', target, { l: 'v' }]);
      await rejectsWith('NotFound', backend.images.get('a'));
    },
    { runtime: { ...base, fs: { ...base.fs, rename } } },
  );
});

test('what cannot be cleaned up at the end hides nothing', async () => {
  const base = bareRuntime();
  let broken = false;
  const remove: typeof base.fs.remove = async (path, opts) => {
    if (broken) throw new Error(`removing ${path}: EROFS`);
    await base.fs.remove(path, opts);
  };
  await withStore(
    async ({ open }) => {
      const one = await open();
      await fill(one);
      broken = true;
      await one[Symbol.asyncDispose]();
      broken = false;
      const next = await open();
      assert.equal((await next.images.list()).length, 1);
      await next.collect();
    },
    { runtime: { ...base, fs: { ...base.fs, remove } } },
  );
});
