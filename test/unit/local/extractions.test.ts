/** One layer, several processes: who extracts is seen by the others, who wait, take over, or extract beside. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { reasonOf } from '../../../src/core/errors.ts';
import { extractKey } from '../../../src/core/layers/extract-key.ts';
import { rejectsWith } from '../../suites/content.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { needs } from '../../support/needs.ts';
import { withStore } from '../../support/stores.ts';

const skip = needs({ root: true });
const CHAIN = `sha256:${'ab'.repeat(32)}`;
let made = 0;
const key = (chainId = CHAIN): string => extractKey(chainId, 1_000_000 + made++);

for (const name of ['overlayfs', 'native']) {
  test(`${name}: a layer that another process extracts is seen, and not extracted twice`, {
    skip,
  }, async () => {
    await withStore(async ({ backend, open, root, runtime }) => {
      const other = await open();
      const [mine, its] = [backend.snapshotter(name), other.snapshotter(name)];
      assert.equal(await mine.extraction?.(CHAIN), undefined);
      const its1 = key();
      await its.prepare(its1, '');
      assert.equal(await its.extraction?.(CHAIN), undefined, 'one’s own extraction is no other’s');
      const seen = await mine.extraction?.(CHAIN);
      assert.equal(seen?.offset, 0);
      const err = await rejectsWith('Unavailable', mine.prepare(key(), ''));
      assert.ok(reasonOf(err, 'busy'));
      await mine.prepare(key(CHAIN.replace('a', 'c')), '');
      const after = async (): Promise<boolean> => (await mine.extraction?.(CHAIN))?.beat !== seen?.beat;
      for (let i = 0; i < 100 && !(await after()); i++) await runtime.clock.sleep(50);
      assert.ok(await after(), 'a live process gives signs of life');
      assert.equal(fs.readdirSync(`${root}/snapshots/${name}`).length, 2, 'what was refused left nothing');
      await its.commit(CHAIN, its1);
      assert.equal(await mine.extraction?.(CHAIN), undefined);
      assert.equal((await mine.stat(CHAIN)).kind, 'Committed');
      await rejectsWith('AlreadyExists', mine.prepare(key(), ''));
      const dirs = fs.readdirSync(`${root}/snapshots/${name}`);
      assert.equal(dirs.length, 2, 'what is committed is not extracted again');
      // A layer whose tree is lost is made again.
      for (const dir of dirs) fs.rmSync(`${root}/snapshots/${name}/${dir}`, { recursive: true });
      await mine.prepare(key(), '');
    });
  });
}

test('of two processes that begin one layer at the same time, one extracts', { skip }, async () => {
  await withStore(async ({ backend, open }) => {
    const backends = [backend, ...(await Promise.all(Array.from({ length: 7 }, () => open())))];
    const results = await Promise.allSettled(
      backends.map((one) => one.snapshotter('overlayfs').prepare(key(), '')),
    );
    const failures = results.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    assert.equal(failures.length, backends.length - 1, String(failures[0]));
    for (const failure of failures) assert.ok(reasonOf(failure, 'busy'), String(failure));
  });
});

test('beside a process that has stopped, and after one that is dead, the layer is extracted', {
  skip,
}, async () => {
  await withStore(async ({ backend, open, root }) => {
    const other = await open();
    const [mine, its] = [backend.snapshotter('overlayfs'), other.snapshotter('overlayfs')];
    await its.prepare(key(), '');
    const beside = key();
    await mine.prepare(beside, '', { beside: true });
    await mine.remove(beside);
    await rejectsWith('Unavailable', mine.prepare(key(), ''));
    await other[Symbol.asyncDispose]();
    assert.equal(await mine.extraction?.(CHAIN), undefined);
    const next = key();
    await mine.prepare(next, '');
    await mine.commit(CHAIN, next);
    await backend[Symbol.asyncDispose]();
    assert.deepEqual(fs.readdirSync(`${root}/run`), [], 'no signs of life stay behind');
  });
});

test('one process that goes on suffices, though another that extracts the layer has stopped', {
  skip,
}, async () => {
  await withStore(async ({ backend, open, root, runtime }) => {
    const [stopped, going] = [await open(), await open()];
    await stopped.snapshotter('overlayfs').prepare(key(), '');
    await going.snapshotter('overlayfs').prepare(key(), '', { beside: true });
    const mine = backend.snapshotter('overlayfs');
    const signs = (): string[] => fs.readdirSync(`${root}/run`).filter((name) => name.endsWith('.layers'));
    for (let i = 0; i < 100 && signs().length < 2; i++) await runtime.clock.sleep(20);
    assert.equal(signs().length, 2);
    const first = await mine.extraction?.(CHAIN);
    const next = async (): Promise<boolean> => (await mine.extraction?.(CHAIN))?.beat !== first?.beat;
    for (let i = 0; i < 100 && !(await next()); i++) await runtime.clock.sleep(50);
    assert.ok(await next());
    await stopped[Symbol.asyncDispose]();
    assert.ok(await mine.extraction?.(CHAIN));
    await going[Symbol.asyncDispose]();
    assert.equal(await mine.extraction?.(CHAIN), undefined);
  });
});

test('a process that is watched is asked for its lock once a second, and its end is seen at once', {
  skip,
}, async () => {
  const bare = bareRuntime();
  let [now, opened] = [0, 0];
  const databases = {
    open: (...args: Parameters<typeof bare.databases.open>) => {
      if (args[0].endsWith('.lock')) opened++;
      return bare.databases.open(...args);
    },
  };
  const runtime = { ...bare, databases, clock: { ...bare.clock, monotonic: () => now } };
  await withStore(
    async ({ backend, open }) => {
      const other = await open();
      await other.snapshotter('overlayfs').prepare(key(), '');
      const mine = backend.snapshotter('overlayfs');
      opened = 0;
      for (; now < 3000; now += 100) assert.ok(await mine.extraction?.(CHAIN));
      assert.equal(opened, 3);
      await other[Symbol.asyncDispose]();
      assert.equal(await mine.extraction?.(CHAIN), undefined);
    },
    { runtime },
  );
});
