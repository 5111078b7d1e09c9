/** A full disk can be emptied with hawser, whatever a killed run has left to be written when the store is opened. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type LocalBackend, openLocalBackend } from '../../../src/backends/local/open.ts';
import { extractKey } from '../../../src/core/layers/extract-key.ts';
import type { Runtime } from '../../../src/core/runtime.ts';
import { errnoError } from '../../../src/platform/kernel/errno.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { failure } from '../../support/failure.ts';
import { needs } from '../../support/needs.ts';
import { fillDisk, onSmallDisk } from '../../support/small-disk.ts';
import { addBlob, close, someBytes, withStore } from '../../support/stores.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const DEAD = 'dead0000dead0000';
const skip = needs({ root: true, tools: ['mount', 'umount'] });

async function opened(
  runtime: Runtime,
  root: string,
  body: (backend: LocalBackend) => Promise<void>,
): Promise<void> {
  const backend = await openLocalBackend(runtime, { root, namespace: 'testing' });
  try {
    await body(backend);
  } finally {
    await backend[Symbol.asyncDispose]();
  }
}

/** A store with an image, a snapshot and half a blob. */
async function fillStore(backend: LocalBackend): Promise<void> {
  const digest = await addBlob(backend, someBytes(3 << 20));
  await backend.images.put('image', { mediaType: MANIFEST, digest, size: 3 << 20 }, {});
  const sn = backend.snapshotter();
  await sn.prepare('key', '');
  await sn.commit('layer', 'key');
  const ingest = await backend.content.ingest('half', {});
  await ingest.write(someBytes(1000));
  await close(ingest);
}

/** What a run that was killed leaves in the database of such a store. */
const LEFT: Readonly<Record<string, readonly string[]>> = {
  'a sync that nobody ended': [`INSERT INTO syncing VALUES ('${DEAD}')`],
  'a layer of another boot that is not durable': [
    "UPDATE snapshots SET unsynced = 'another boot', owner = 'x' WHERE name = 'layer'",
  ],
  'a blob whose last bytes are not dated': ['UPDATE ingests SET updated_at = 0'],
};

for (const [what, statements] of Object.entries(LEFT)) {
  test(`a full disk with ${what}: the store is opened, an image removed, and space freed`, {
    skip,
  }, async () => {
    await onSmallDisk(12, async (place) => {
      const root = `${place}/store`;
      await opened(bareRuntime(), root, fillStore);
      const db = new DatabaseSync(`${root}/hawser.db`);
      db.exec('UPDATE snapshots SET unsynced = NULL; UPDATE ingests SET updated_at = 1e15');
      for (const statement of statements) db.exec(statement);
      db.close();
      assert.ok(fs.existsSync(`${root}/spare`));
      fillDisk(place);
      await opened(bareRuntime(), root, async (backend) => {
        await backend.collect();
        assert.deepEqual(await backend.images.deleteAll(['image']), ['image']);
        await backend.collect();
      });
      const free = fs.statfsSync(place);
      assert.ok(free.bfree * free.bsize > 3 << 20, `${free.bfree * free.bsize} bytes free`);
    });
  });
}

test('a sync that fails on a full disk is remembered: nothing that it covered is trusted', {
  skip,
}, async () => {
  await onSmallDisk(12, async (place) => {
    const root = `${place}/store`;
    await opened(bareRuntime(), root, async () => {});
    const base = bareRuntime();
    const syncfs = async (): Promise<void> => {
      fillDisk(place);
      throw errnoError('ENOSPC', 'syncing');
    };
    await opened({ ...base, workers: { ...base.workers, syncfs } }, root, async (backend) => {
      const key = extractKey('layer', 1_000_000);
      await backend.snapshotter().prepare(key, '');
      await backend.snapshotter().commit('layer', key);
      await failure(backend.sync());
      const db = new DatabaseSync(`${root}/hawser.db`, { readOnly: true });
      assert.equal(db.prepare('SELECT count(*) AS n FROM snapshots').get()?.n, 0);
      db.close();
    });
  });
});

const SPARE = 1 << 20;

/** A runtime in whose file system `change` replaces calls. */
function changed(change: (base: Runtime['fs']) => Partial<Runtime['fs']>): Runtime {
  const base = bareRuntime();
  return { ...base, fs: { ...base.fs, ...change(base.fs) } };
}

const SPARES: Readonly<Record<string, { readonly runtime: () => Runtime; readonly before?: number }>> = {
  'left short by a kill': { runtime: bareRuntime, before: SPARE / 4 },
  'made by another process meanwhile': {
    runtime: () =>
      changed(({ stat }) => ({
        stat: async (path, call) => (path.endsWith('/spare') ? undefined : await stat(path, call)),
      })),
    before: SPARE,
  },
  'made by another process meanwhile, on a disk that is full then': {
    runtime: () =>
      changed(({ stat, open }) => ({
        stat: async (path, call) => (path.endsWith('/spare') ? undefined : await stat(path, call)),
        open: async (path, ...more) => {
          const file = await open(path, ...more);
          if (!path.endsWith('spare')) return file;
          const write = () => Promise.reject(errnoError('ENOSPC', 'writing'));
          return { ...file, write, close: () => file.close() };
        },
      })),
    before: SPARE,
  },
};

for (const [what, { runtime, before = 0 }] of Object.entries(SPARES)) {
  test(`the spare room is whole, and nothing else is left, where it was ${what}`, async () => {
    await withStore(async ({ backend, root }) => {
      await backend[Symbol.asyncDispose]();
      fs.writeFileSync(`${root}/spare`, new Uint8Array(before));
      await opened(runtime(), root, async () => {});
      assert.equal(fs.statSync(`${root}/spare`).size, SPARE);
      assert.deepEqual(fs.readdirSync(`${root}/run`), []);
    });
  });
}

test('the spare room is not made in part: an opening that is killed meanwhile leaves none', async () => {
  await withStore(async ({ backend, root }) => {
    await backend[Symbol.asyncDispose]();
    fs.rmSync(`${root}/spare`);
    let written = 0;
    const runtime = changed(({ open }) => ({
      open: async (path, ...more) => {
        const file = await open(path, ...more);
        if (!path.endsWith('spare')) return file;
        const write: typeof file.write = async (bytes, at) => {
          await file.write(bytes, at);
          if (++written === 4) assert.ok(!fs.existsSync(`${root}/spare`));
        };
        return { ...file, write, close: () => file.close() };
      },
    }));
    await opened(runtime, root, async () => {});
    assert.equal(written, 16);
    assert.equal(fs.statSync(`${root}/spare`).size, SPARE);
  });
});
