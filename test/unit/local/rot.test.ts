/** Stored bytes that are no longer those of their digest: seen when they are read, dropped, and brought anew. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { readBlob } from '../../../src/core/content/read.ts';
import { kindOf, reasonOf } from '../../../src/core/errors.ts';
import type { Digest } from '../../../src/core/oci/digest.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { overwrite, ROT } from '../../support/rot.ts';
import { addBlob, bytesOf, close, collectStream, someBytes, withStore } from '../../support/stores.ts';

const BIG = 3 << 20;

for (const [title, rot] of Object.entries(ROT)) {
  for (const [size, bytes] of [
    ['small', bytesOf('{"a document":1}')],
    ['big', someBytes(BIG)],
  ] as const) {
    test(`rot: ${title} in a ${size} blob is found by verify, dropped though leased, and healed for every namespace`, async () => {
      await withStore(async ({ backend, open }) => {
        const { content } = backend;
        const lease = (await backend.leases.create({ expiresIn: 60_000 })).id;
        const digest = await addBlob(backend, bytes, { lease, labels: { a: 'b' } });
        const other = await open('other');
        await addBlob(other, bytes).catch((err) => assert.equal(kindOf(err), 'AlreadyExists'));
        assert.equal(await content.verify(digest), true);
        rot(content.blobPath(digest));
        await assert.rejects(async () => await collectStream(await content.open(digest)));
        assert.equal(await content.verify(digest), false);
        assert.equal(kindOf(await content.info(digest).catch((err) => err)), 'NotFound');
        assert.deepEqual(await content.list(), []);
        await addBlob(backend, bytes);
        for (const one of [content, other.content]) {
          assert.equal(await one.verify(digest), true);
          assert.deepEqual(Buffer.from(await collectStream(await one.open(digest))), Buffer.from(bytes));
        }
        assert.deepEqual((await content.info(digest)).labels, { a: 'b' });
      });
    });
  }
}

test('rot: a small blob is hashed before the store says that it has the blob', async () => {
  await withStore(async ({ backend }) => {
    const bytes = bytesOf('{"a manifest":1}');
    const digest = await addBlob(backend, bytes);
    const path = backend.content.blobPath(digest);
    overwrite(path, (all) => all.write('{"a MANIFEST":1}'));
    const ingest = await backend.content.ingest('again', { digest, size: bytes.length });
    await ingest.write(bytes);
    await ingest.commit();
    await close(ingest);
    assert.deepEqual(fs.readFileSync(path), Buffer.from(bytes));
  });
});

test('rot: a document with another digest is not read', async () => {
  await withStore(async ({ backend }) => {
    const bytes = bytesOf('{"Cmd":["/bin/good"]}');
    const digest = await addBlob(backend, bytes);
    overwrite(backend.content.blobPath(digest), (all) => all.write('{"Cmd":["/bin/evil"]}'));
    const err = await readBlob(backend.content, { digest, size: bytes.length }, 1000).catch((one) => one);
    assert.equal(kindOf(err), 'DataLoss');
    assert.equal(reasonOf(err, 'mismatch')?.expected, digest);
  });
});

test('rot: another namespace is given a blob only when the bytes are right', async () => {
  await withStore(async ({ backend, open }) => {
    const bytes = someBytes(BIG);
    const digest = await addBlob(backend, bytes);
    overwrite(backend.content.blobPath(digest), (all) => all.fill(7, 5, 6));
    const other = await open('other');
    const ingest = await other.content.ingest('ref', { digest, size: BIG });
    await ingest.write(bytes);
    await ingest.commit();
    await close(ingest);
    assert.equal(await backend.content.verify(digest), true);
  });
});

test('rot: a file that another process replaced while it was verified stays', async () => {
  const base = bareRuntime();
  let replace = (): void => {};
  const runtime = {
    ...base,
    fs: {
      ...base.fs,
      rename: async (...args: Parameters<typeof base.fs.rename>) => {
        replace();
        await base.fs.rename(...args);
      },
    },
  };
  await withStore(
    async ({ backend, root }) => {
      const bytes = someBytes(BIG);
      const digest: Digest = await addBlob(backend, bytes);
      const path = backend.content.blobPath(digest);
      overwrite(path, (all) => all.fill(7, 5, 6));
      replace = () => {
        replace = () => {};
        fs.rmSync(path);
        fs.writeFileSync(path, bytes, { mode: 0o444 });
      };
      assert.equal(await backend.content.verify(digest), true);
      assert.deepEqual(fs.readFileSync(path), Buffer.from(bytes));
      assert.deepEqual(fs.readdirSync(`${root}/content/ingest`), []);
      assert.deepEqual(fs.readdirSync(dirname(path)).length, 1);
    },
    { runtime },
  );
});

test('rot: a collection of another process keeps off a file that is verified aside', async () => {
  const base = bareRuntime();
  let aside: () => Promise<unknown> = async () => {};
  const rename = async (...args: Parameters<typeof base.fs.rename>): Promise<void> => {
    await base.fs.rename(...args);
    const meanwhile = aside;
    aside = async () => {};
    await meanwhile();
  };
  await withStore(
    async ({ backend, open }) => {
      const bytes = someBytes(BIG);
      const digest: Digest = await addBlob(backend, bytes);
      const path = backend.content.blobPath(digest);
      const other = await open('other', false, bareRuntime());
      overwrite(path, (all) => all.fill(7, 5, 6));
      aside = async () => {
        const [parked] = fs.readdirSync(`${dirname(path)}/../../ingest`);
        fs.rmSync(`${dirname(path)}/../../ingest/${parked}`);
        fs.writeFileSync(`${dirname(path)}/../../ingest/${parked}`, bytes, { mode: 0o444 });
        await other.collect();
      };
      assert.equal(await backend.content.verify(digest), true);
      assert.deepEqual(fs.readFileSync(path), Buffer.from(bytes));
    },
    { runtime: { ...base, fs: { ...base.fs, rename } } },
  );
});

test('rot: a reader finds rot and removes nothing', async () => {
  await withStore(async ({ backend, open }) => {
    const digest = await addBlob(backend, bytesOf('some bytes'));
    const path = backend.content.blobPath(digest);
    overwrite(path, (all) => all.write('S'));
    const reader = await open('testing', true);
    assert.equal(await reader.content.verify(digest), false);
    assert.ok(fs.existsSync(path));
  });
});
