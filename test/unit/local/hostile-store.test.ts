/** Things that others put into the store, failures below it, and power cuts (H45 to H50). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { test } from 'node:test';
import { type LocalBackend, openLocalBackend } from '../../../src/backends/local/open.ts';
import { HawserError, isKind } from '../../../src/core/errors.ts';
import type { FileSystem } from '../../../src/core/ports/file-system.ts';
import type { Runtime } from '../../../src/core/runtime.ts';
import { errnoError } from '../../../src/platform/kernel/errno.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { lossyFs } from '../../support/lossy-fs.ts';
import { needs } from '../../support/needs.ts';
import { stepFs } from '../../support/step-fs.ts';
import { close, collectStream, digestOf, someBytes, withStore } from '../../support/stores.ts';
import { tempDir } from '../../support/tmp.ts';

const bytes = someBytes(5000);
const want = { digest: digestOf(bytes), size: bytes.length };
const TARGET = { mediaType: 'x', digest: want.digest, size: bytes.length };

/** The writing half of a pull: under a lease, a blob and the image that names it. What is there already is fine. */
async function store(backend: LocalBackend): Promise<void> {
  const lease = await backend.leases.create();
  try {
    const ingest = await backend.content.ingest('ref', want, { lease: lease.id });
    try {
      if (ingest.offset > 0) await ingest.reset();
      await ingest.write(bytes.subarray(0, 2000));
      await ingest.write(bytes.subarray(2000));
      await ingest.commit();
    } finally {
      await close(ingest);
    }
  } catch (err) {
    if (!isKind(err, 'AlreadyExists')) throw err;
  }
  await backend.images.put('a', TARGET, {});
  await backend.leases.delete(lease.id);
}

/** Every record stands for bytes that are there and right; an image has its target. */
async function fsck(backend: LocalBackend): Promise<void> {
  for (const { digest } of await backend.content.list()) {
    const found = await collectStream(await backend.content.open(digest));
    assert.equal(digestOf(found), digest, 'a record points at other bytes');
  }
  for (const { target } of await backend.images.list()) {
    assert.equal((await backend.content.info(target.digest)).size, target.size, 'an image lacks its target');
  }
}

async function check(backend: LocalBackend): Promise<void> {
  await fsck(backend);
  assert.deepEqual(await collectStream(await backend.content.open(want.digest)), bytes);
  assert.equal((await backend.images.list()).length, 1);
}

type Plant = (path: string, elsewhere: string) => void;
const PLANTS: Readonly<Record<string, Plant>> = {
  'a link to the right bytes': (path, elsewhere) => {
    fs.writeFileSync(`${elsewhere}/same`, bytes);
    fs.symlinkSync(`${elsewhere}/same`, path);
  },
  'a link to nowhere': (path, elsewhere) => fs.symlinkSync(`${elsewhere}/absent`, path),
  'a FIFO': (path) => void execFileSync('mkfifo', [path]),
  'a directory': (path) => fs.mkdirSync(path),
};

for (const [what, plant] of Object.entries(PLANTS)) {
  test(`${what} in a blob's place is not read, and a pull mends it (H46)`, async () => {
    const elsewhere = tempDir();
    try {
      await withStore(async ({ backend }) => {
        await store(backend);
        const path = backend.content.blobPath(want.digest);
        fs.rmSync(path);
        plant(path, elsewhere.path);
        await assert.rejects(backend.content.open(want.digest), (err) =>
          isKind(err, 'DataLoss', 'FailedPrecondition', 'PermissionDenied'),
        );
        await store(backend);
        await check(backend);
        assert.ok(fs.lstatSync(path).isFile());
        assert.equal(fs.existsSync(`${elsewhere.path}/absent`), false);
      });
    } finally {
      elsewhere[Symbol.dispose]();
    }
  });
}

test('a device in a blob’s place is not read (H46)', { skip: needs({ root: true }) }, async () => {
  await withStore(async ({ backend }) => {
    await store(backend);
    const path = backend.content.blobPath(want.digest);
    fs.rmSync(path);
    execFileSync('mknod', [path, 'c', '1', '5']);
    await assert.rejects(backend.content.open(want.digest), (err) =>
      isKind(err, 'DataLoss', 'FailedPrecondition', 'PermissionDenied'),
    );
    await store(backend);
    await check(backend);
  });
});

test('a link planted at an ingest’s file leads nowhere (H45)', async () => {
  const elsewhere = tempDir();
  try {
    await withStore(async ({ backend, root }) => {
      const victim = `${elsewhere.path}/victim`;
      fs.writeFileSync(victim, 'precious');
      const ingest = await backend.content.ingest('ref', want);
      await ingest.write(bytes.subarray(0, 1000));
      await close(ingest);
      const [dir = ''] = fs.readdirSync(`${root}/content/ingest`);
      for (const name of ['data', 'ref.tmp', 'updatedat.tmp']) {
        fs.rmSync(`${root}/content/ingest/${dir}/${name}`, { force: true });
        fs.symlinkSync(victim, `${root}/content/ingest/${dir}/${name}`);
      }
      await store(backend).catch((err) =>
        assert.ok(isKind(err, 'FailedPrecondition', 'PermissionDenied'), err),
      );
      assert.equal(fs.readFileSync(victim, 'utf8'), 'precious');
      await fsck(backend);
    });
  } finally {
    elsewhere[Symbol.dispose]();
  }
});

/** Fails the n-th change, or all from there on, as the system does with this error. */
function failing(base: FileSystem, errno: string, lasting: boolean) {
  let left = Number.POSITIVE_INFINITY;
  let failed = false;
  const step = (what: string): void => {
    left--;
    if (left > 0 || (left < 0 && !lasting)) return;
    failed = true;
    throw errnoError(errno, what);
  };
  const arm = (n: number): void => {
    left = n;
    failed = false;
  };
  return { fs: stepFs(base, step), arm, failed: () => failed };
}

for (const [errno, lasting] of [
  ['ENOSPC', true],
  ['EDQUOT', false],
  ['EIO', false],
  ['EROFS', true],
] as const) {
  test(`${errno}${lasting ? ' from there on' : ''} at every step of a pull: an error or nothing, and the next succeeds (H47)`, async () => {
    const base = bareRuntime();
    const disk = failing(base.fs, errno, lasting);
    await withStore(
      async ({ backend }) => {
        let steps = 0;
        for (let failed = true; failed; ) {
          disk.arm(++steps);
          const error = await store(backend).then(
            () => undefined,
            (err: unknown) => err,
          );
          failed = disk.failed();
          disk.arm(Number.POSITIVE_INFINITY);
          if (error !== undefined)
            assert.ok(failed && error instanceof HawserError, `step ${steps}: ${error}`);
          await fsck(backend);
          await store(backend);
          await check(backend);
          await backend.images.delete('a');
          for (const lease of await backend.leases.list()) await backend.leases.delete(lease.id);
          await backend.collect();
          assert.deepEqual(await backend.content.list(), [], `step ${steps}`);
        }
        assert.ok(steps > 15, `${steps} steps`);
      },
      { runtime: { ...base, fs: disk.fs } },
    );
  });
}

test('a clock that jumps, back or forth, loses no ingest and no blob (H47)', async () => {
  const base = bareRuntime();
  let shift = 0;
  const clock = { ...base.clock, now: () => base.clock.now() + shift };
  await withStore(
    async ({ backend, open }) => {
      for (const days of [-3, 3]) {
        const ingest = await backend.content.ingest('ref', want);
        await ingest.write(bytes.subarray(0, 1000));
        shift = days * 86_400_000;
        await (await open()).collect();
        await ingest.write(bytes.subarray(1000));
        await ingest.commit();
        await store(backend);
        await backend.collect();
        await check(backend);
        await backend.images.delete('a');
        shift = 0;
        await backend.collect();
        assert.deepEqual(await backend.content.list(), []);
      }
    },
    { runtime: { ...base, clock } },
  );
});

/** A power cut before the n-th change; undefined when there were fewer. */
async function cutAt(root: string, n: number): Promise<boolean> {
  const base = bareRuntime();
  const lossy = lossyFs(base.fs);
  let left = n;
  const runtime: Runtime = {
    ...base,
    fs: stepFs(lossy.fs, (what) => {
      if (--left <= 0) throw new HawserError('Aborted', `${what}: the power is gone`);
    }),
  };
  let backend: LocalBackend | undefined;
  try {
    backend = await openLocalBackend(runtime, { root, namespace: 'testing' });
    await store(backend);
    await backend.sync();
  } catch (err) {
    assert.ok(isKind(err, 'Aborted'), String(err));
  }
  try {
    await backend?.[Symbol.asyncDispose]();
  } catch (err) {
    assert.ok(isKind(err, 'Aborted'), String(err));
  }
  lossy.cut();
  return left > 0;
}

test('a power cut at every step, with all that was not synced lost: no record points at lost bytes (H48)', async () => {
  let steps = 0;
  for (let whole = false; !whole; ) {
    const dir = tempDir();
    const root = `${dir.path}/store`;
    try {
      whole = await cutAt(root, ++steps);
      const backend = await openLocalBackend(bareRuntime(), { root, namespace: 'testing' });
      try {
        await fsck(backend);
        await store(backend);
        await check(backend);
      } finally {
        await backend[Symbol.asyncDispose]();
      }
    } finally {
      dir[Symbol.dispose]();
    }
  }
  assert.ok(steps > 15, `${steps} steps`);
});

test('a collection at every step of a pull takes nothing of it (H49)', async () => {
  const base = bareRuntime();
  let left = Number.POSITIVE_INFINITY;
  let other: LocalBackend | undefined;
  const runtime = {
    ...base,
    fs: stepFs(base.fs, async () => {
      if (--left === 0) await other?.collect();
    }),
  };
  await withStore(
    async ({ backend, root }) => {
      other = await openLocalBackend(base, { root, namespace: 'testing' });
      try {
        let steps = 0;
        for (let met = true; met; ) {
          left = ++steps;
          await store(backend);
          met = left <= 0;
          left = Number.POSITIVE_INFINITY;
          await check(backend);
          await backend.images.delete('a');
          await backend.collect();
        }
        assert.ok(steps > 15, `${steps} steps`);
      } finally {
        await other[Symbol.asyncDispose]();
      }
    },
    { runtime },
  );
});

test('with isolated content, knowing the digest of another namespace’s blob does not give it (H50)', async () => {
  await withStore(async ({ backend, root, runtime }) => {
    await store(backend);
    const options = { root, namespace: 'stranger', contentSharing: 'isolated' } as const;
    const stranger = await openLocalBackend(runtime, options);
    try {
      const ingest = await stranger.content.ingest('ref', want);
      assert.equal(ingest.offset, 0);
      await assert.rejects(ingest.commit(), (err) => isKind(err, 'DataLoss'));
      await assert.rejects(stranger.content.open(want.digest), (err) => isKind(err, 'NotFound'));
      await ingest.reset();
      await ingest.write(bytes);
      await ingest.commit();
      await close(ingest);
      assert.deepEqual(await collectStream(await stranger.content.open(want.digest)), bytes);
    } finally {
      await stranger[Symbol.asyncDispose]();
    }
    await check(backend);
  });
});
