/** What crashes, other programs and full disks leave: one more try always succeeds. */

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import fs from 'node:fs';
import { test } from 'node:test';
import type { LocalBackend } from '../../../src/backends/local/open.ts';
import { HawserError, isKind } from '../../../src/core/errors.ts';
import type { FileHandle, FileSystem } from '../../../src/core/ports/file-system.ts';
import { rejectsWith } from '../../suites/content.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import {
  addBlob,
  bytesOf,
  close,
  collectStream,
  digestOf,
  someBytes,
  type TestStore,
  withStore,
} from '../../support/stores.ts';

/** Large enough for an ingest with sidecars. */
const SIZE = (1 << 20) + 5000;
const bytes = someBytes(SIZE);
const want = { digest: digestOf(bytes), size: bytes.length };

/** What a fetch does: resume, and after a wrong digest reset and write all. */
async function fetchOnce(backend: LocalBackend): Promise<void> {
  const ingest = await backend.content.ingest('ref', want);
  try {
    for (let attempt = 0; ; attempt++) {
      await ingest.write(bytes.subarray(ingest.offset));
      try {
        await ingest.commit();
        return;
      } catch (err) {
        if (attempt > 0 || !isKind(err, 'DataLoss')) throw err;
        await ingest.reset();
      }
    }
  } finally {
    await close(ingest);
  }
}

async function check(backend: LocalBackend): Promise<void> {
  assert.deepEqual(await collectStream(await backend.content.open(want.digest)), bytes);
  assert.equal(fs.statSync(backend.content.blobPath(want.digest)).mode & 0o7777, 0o444);
  assert.deepEqual(await backend.content.listStatuses(), []);
}

function ingestDir(store: TestStore): string {
  const [name] = fs.readdirSync(`${store.root}/content/ingest`);
  return `${store.root}/content/ingest/${name ?? ''}`;
}

const poisons: Record<string, (dir: string) => void> = {
  'wrong bytes': (dir) => fs.writeFileSync(`${dir}/data`, someBytes(3000)),
  'wrong bytes, full length': (dir) => fs.writeFileSync(`${dir}/data`, someBytes(SIZE)),
  'longer than wanted': (dir) => fs.writeFileSync(`${dir}/data`, someBytes(9000)),
  'a tail of zeros': (dir) =>
    fs.writeFileSync(`${dir}/data`, Buffer.concat([bytes.subarray(0, 1000), Buffer.alloc(1000)])),
  'shorter than it was': (dir) => fs.truncateSync(`${dir}/data`, 10),
  'no data': (dir) => fs.rmSync(`${dir}/data`),
  'no sidecars': (dir) => {
    for (const name of ['ref', 'startedat', 'updatedat', 'total'])
      fs.rmSync(`${dir}/${name}`, { force: true });
  },
  'empty sidecars': (dir) => {
    for (const name of ['ref', 'startedat', 'updatedat', 'total']) fs.writeFileSync(`${dir}/${name}`, '');
  },
  'no directory': (dir) => fs.rmSync(dir, { recursive: true }),
  'a directory for data': (dir) => {
    fs.rmSync(`${dir}/data`);
    fs.mkdirSync(`${dir}/data/x`, { recursive: true });
  },
  'a file for the directory': (dir) => {
    fs.rmSync(dir, { recursive: true });
    fs.writeFileSync(dir, 'x');
  },
  'data a link to somewhere': (dir) => {
    fs.rmSync(`${dir}/data`);
    fs.symlinkSync('/etc/passwd', `${dir}/data`);
  },
};

for (const [name, poison] of Object.entries(poisons)) {
  test(`a poisoned ingest is mended: ${name} (H45, H47)`, async () => {
    await withStore(async (store) => {
      const ingest = await store.backend.content.ingest('ref', want);
      await ingest.write(bytes.subarray(0, 2000));
      await close(ingest);
      poison(ingestDir(store));
      await fetchOnce(store.backend);
      await check(store.backend);
    });
  });
}

test('an ingest of another total or digest starts from nothing', async () => {
  await withStore(async ({ backend }) => {
    for (const old of [{ size: 9999 }, { digest: digestOf(bytesOf('other')) }]) {
      const ingest = await backend.content.ingest('ref', old);
      await ingest.write(bytes.subarray(0, 100));
      await close(ingest);
      const again = await backend.content.ingest('ref', want);
      assert.equal(again.offset, 0);
      await close(again);
    }
    await fetchOnce(backend);
    await check(backend);
  });
});

test('files without records: an ingest starts anew, a good blob is adopted, a bad one replaced (H47)', async () => {
  await withStore(async (store) => {
    const { backend } = store;
    const path = backend.content.blobPath(want.digest);
    fs.mkdirSync(`${store.root}/content/blobs/sha256`, { recursive: true });
    fs.writeFileSync(path, bytes);
    await rejectsWith('AlreadyExists', backend.content.ingest('ref', want));
    await check(backend);
    await backend.content.delete(want.digest);
    fs.rmSync(path);
    fs.writeFileSync(path, someBytes(SIZE));
    await fetchOnce(backend);
    await check(backend);
  });
});

/** Blobs are read-only, which stops everybody but root. */
function shorten(path: string): void {
  fs.chmodSync(path, 0o600);
  fs.truncateSync(path, 10);
}

test('a recorded blob whose file is gone or short is fetched again', async () => {
  await withStore(async ({ backend, open }) => {
    for (const damage of [(path: string) => fs.rmSync(path), shorten]) {
      await fetchOnce(backend).catch((err) => assert.ok(isKind(err, 'AlreadyExists')));
      damage(backend.content.blobPath(want.digest));
      const err = await rejectsWith('DataLoss', backend.content.open(want.digest));
      assert.match(String((err as HawserError).hint), /hawser images repair REF/);
      const other = await open('other');
      const elsewhere = await other.content.ingest('ref', want);
      await close(elsewhere);
      await other.content.abort('ref');
      await fetchOnce(backend);
      await check(backend);
    }
  });
});

test('index.json is made again when it is missing or behind', async () => {
  await withStore(async ({ backend, open, root }) => {
    const digest = await addBlob(backend, bytes);
    await backend.images.put(
      'a',
      { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: SIZE },
      {},
    );
    const index = `${root}/content/index.json`;
    const right = fs.readFileSync(index, 'utf8');
    for (const damage of [
      () => fs.rmSync(index),
      () => fs.writeFileSync(index, '{}'),
      () => fs.rmSync(`${root}/content/oci-layout`),
    ]) {
      damage();
      await open();
      assert.equal(fs.readFileSync(index, 'utf8'), right);
      assert.ok(fs.existsSync(`${root}/content/oci-layout`));
    }
  });
});

/** A file system in which the n-th change fails, once, as a full disk does. */
function faulty(base: FileSystem): { fs: FileSystem; failAt(n: number): void; failed(): boolean } {
  let left = Number.POSITIVE_INFINITY;
  let failed = false;
  const step = (what: string): void => {
    left--;
    if (left !== 0) return;
    failed = true;
    throw new HawserError('ResourceExhausted', `${what}: no space left on device`);
  };
  const file = (handle: FileHandle): FileHandle => ({
    read: (into, at) => handle.read(into, at),
    size: () => handle.size(),
    close: () => handle.close(),
    [Symbol.asyncDispose]: () => handle.close(),
    truncate: async (size) => {
      step('truncate');
      await handle.truncate(size);
    },
    sync: async () => {
      step('sync');
      await handle.sync();
    },
    write: async (data, at) => {
      try {
        step('write');
      } catch (err) {
        const bytes = data instanceof Uint8Array ? data : Buffer.concat(data);
        await handle.write(bytes.subarray(0, bytes.length >> 1), at);
        throw err;
      }
      await handle.write(data, at);
    },
  });
  const before =
    <A extends unknown[], R>(what: string, work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      step(what);
      return await work(...args);
    };
  return {
    fs: {
      ...base,
      open: async (...args) => {
        if (args[1] !== 'read') step('open');
        return file(await base.open(...args));
      },
      mkdir: before('mkdir', base.mkdir),
      rename: before('rename', base.rename),
      remove: before('remove', base.remove),
      chmod: before('chmod', base.chmod),
      syncDir: before('syncDir', base.syncDir),
    },
    failAt: (n) => {
      left = n;
      failed = false;
    },
    failed: () => failed,
  };
}

test('a full disk at each step of a fetch and a record: a clean error, no lock left, the next try succeeds (H47)', async () => {
  const base = bareRuntime();
  const disk = faulty(base.fs);
  await withStore(
    async ({ backend, root }) => {
      let steps = 0;
      let unheard = 0;
      for (let failed = true; failed; ) {
        disk.failAt(++steps);
        const attempt = async (): Promise<void> => {
          await fetchOnce(backend);
          await backend.images.put('a', { mediaType: 'x', digest: want.digest, size: SIZE }, {});
        };
        const error = await attempt().then(
          () => undefined,
          (err: unknown) => err,
        );
        failed = disk.failed();
        disk.failAt(Number.POSITIVE_INFINITY);
        // Only what is left over when all is recorded may fail unheard: the ingest's directory, and the six steps of index.json.
        if (error !== undefined) assert.ok(isKind(error, 'ResourceExhausted'), `step ${steps}: ${error}`);
        else if (failed) unheard++;
        await fetchOnce(backend).catch((err) =>
          assert.ok(isKind(err, 'AlreadyExists'), `step ${steps}: ${err}`),
        );
        await check(backend);
        await backend.images.put('a', { mediaType: 'x', digest: want.digest, size: SIZE }, {});
        assert.equal(JSON.parse(fs.readFileSync(`${root}/content/index.json`, 'utf8')).manifests.length, 1);
        await backend.images.delete('a');
        await backend.collect();
        assert.deepEqual(fs.readdirSync(`${root}/content/ingest`), []);
        assert.deepEqual(fs.readdirSync(`${root}/content/blobs/sha256`), []);
      }
      assert.ok(steps > 20, `${steps} steps`);
      assert.equal(unheard, 7);
    },
    { runtime: { ...base, fs: disk.fs } },
  );
});
