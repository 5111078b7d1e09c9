import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HawserError, type Kind } from '../../../src/core/errors.ts';
import { WriteOut } from '../../../src/core/layers/write-out.ts';
import type { Runtime } from '../../../src/core/runtime.ts';

/** A clock whose sleeps end when they are told to, and workers whose syncs do. */
function fixture(opts: { volatile?: boolean | 'forbidden'; fail?: Kind } = {}) {
  const sleeps: (() => void)[] = [];
  const syncs: { path: string; end: () => void }[] = [];
  const runtime = {
    clock: {
      sleep: (_ms: number, signal: AbortSignal) =>
        new Promise<void>((resolve, reject) => {
          if (signal.aborted) return reject(signal.reason);
          sleeps.push(resolve);
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    },
    fs: {
      isVolatile: async () => {
        if (opts.volatile === 'forbidden') throw new HawserError('PermissionDenied', 'statfs');
        return opts.volatile === true;
      },
    },
    workers: {
      syncfs: ([path = '']: readonly string[]) =>
        new Promise<void>((resolve, reject) => {
          const end = () =>
            opts.fail === undefined ? resolve() : reject(new HawserError(opts.fail, 'the disk'));
          syncs.push({ path, end });
        }),
    },
  } as unknown as Runtime;
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const tick = async () => {
    await settle();
    sleeps.shift()?.();
    await settle();
  };
  return { writeOut: new WriteOut(runtime), syncs, sleeps, tick, settle };
}

/** Work that lasts until it is ended. */
function work(): { readonly run: () => Promise<string>; end(): void } {
  let end = (): void => {};
  const ended = new Promise<string>((resolve) => {
    end = () => resolve('done');
  });
  return { run: () => ended, end: () => end() };
}

test('what is over soon is left to the one sync at the end', async () => {
  const { writeOut, syncs } = fixture();
  assert.equal(await writeOut.during('/store', async () => 7), 7);
  await writeOut.settled();
  assert.deepEqual(syncs, []);
});

test('what lasts is written out again and again, one sync at a time, until the last work ends', async () => {
  const { writeOut, syncs, sleeps, tick, settle } = fixture();
  const [one, two] = [work(), work()];
  const both = [writeOut.during('/store', one.run), writeOut.during('/store', two.run)];
  await tick();
  assert.deepEqual(
    syncs.map(({ path }) => path),
    ['/store'],
  );
  assert.equal(sleeps.length, 0, 'nobody sleeps while a sync runs');
  syncs[0]?.end();
  await tick();
  assert.equal(syncs.length, 2);
  one.end();
  await both[0];
  syncs[1]?.end();
  await tick();
  assert.equal(syncs.length, 3);
  two.end();
  assert.deepEqual(await Promise.all(both), ['done', 'done']);
  let settled = false;
  const waiting = writeOut.settled().then(() => {
    settled = true;
  });
  await settle();
  assert.equal(settled, false, 'a sync is still running');
  syncs[2]?.end();
  await waiting;
  assert.equal(syncs.length, 3);
});

for (const volatile of [true, 'forbidden'] as const) {
  const where = volatile === true ? 'in memory' : 'where the file system is not to be known';
  test(`${where} nothing is written out, and nothing fails`, async () => {
    const { writeOut, syncs, sleeps, tick } = fixture({ volatile });
    const one = work();
    const running = writeOut.during('/store', one.run);
    await tick();
    assert.deepEqual([syncs.length, sleeps.length], [0, 0]);
    one.end();
    await running;
    await writeOut.settled();
  });
}

test('a sync that fails is told at the end, though the work went well', async () => {
  const { writeOut, syncs, tick } = fixture({ fail: 'Internal' });
  const one = work();
  const running = writeOut.during('/store', one.run);
  await tick();
  syncs[0]?.end();
  one.end();
  assert.equal(await running, 'done');
  await assert.rejects(writeOut.settled(), /the disk/);
  await assert.rejects(writeOut.settled(), /the disk/);
});

test('a directory that is gone needs no writing', async () => {
  const { writeOut, syncs, tick } = fixture({ fail: 'NotFound' });
  const one = work();
  const running = writeOut.during('/store', one.run);
  await tick();
  syncs[0]?.end();
  one.end();
  await running;
  await writeOut.settled();
});

test('work that fails fails with its own reason', async () => {
  const { writeOut } = fixture();
  await assert.rejects(
    writeOut.during('/store', () => Promise.reject(new Error('bad layer'))),
    /bad layer/,
  );
  await writeOut.settled();
});
