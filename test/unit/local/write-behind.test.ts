import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { WriteBehind } from '../../../src/backends/local/write-behind.ts';
import type { Clock } from '../../../src/core/ports/clock.ts';
import type { FileHandle } from '../../../src/core/ports/file-system.ts';
import { createFileSystem } from '../../../src/platform/files/file-system.ts';
import { seeded } from '../../registry/chaos.ts';
import { chosenSeed } from '../../support/seed.ts';
import { tempDir } from '../../support/tmp.ts';

/** `gate`: what all writes but the first wait for. A clock that stands still unless told, and a file that records what it is told to write. */
function fixture(opts: { fail?: (write: number) => boolean; gate?: Promise<void> } = {}) {
  let time = 0;
  const clock: Clock = {
    now: () => time,
    monotonic: () => time,
    sleep: (ms, signal) => pause(ms, undefined, { signal }),
  };
  const writes: { at: number; bytes: string }[] = [];
  const write = async (bytes: Uint8Array | readonly Uint8Array[], at: number) => {
    if (writes.length > 0) await opts.gate;
    if (opts.fail?.(writes.length) === true) throw new Error('disk is full');
    const all = bytes instanceof Uint8Array ? bytes : Buffer.concat(bytes);
    writes.push({ at, bytes: Buffer.from(all).toString() });
  };
  const told: number[] = [];
  const file = { write } as unknown as FileHandle;
  const behind = new WriteBehind(file, 100, clock, (end) => told.push(end));
  const push = (text: string) => behind.push(Buffer.from(text));
  const pass = (ms: number): void => {
    time += ms;
  };
  return { behind, writes, told, push, pass };
}

test('what comes slowly is written as it comes', async () => {
  const { behind, writes, told, push, pass } = fixture();
  await push('one');
  pass(10);
  await push('two');
  assert.deepEqual(writes, [
    { at: 100, bytes: 'one' },
    { at: 103, bytes: 'two' },
  ]);
  assert.deepEqual(told, [103, 106]);
  assert.equal(behind.written, 106);
});

test('what comes fast is gathered, and written by a flush in one go', async () => {
  const { behind, writes, told, push } = fixture();
  for (const text of ['a', 'b', 'c', 'd']) await push(text);
  assert.deepEqual(writes, [{ at: 100, bytes: 'a' }]);
  assert.equal(behind.written, 101);
  await behind.flush();
  assert.deepEqual(writes.slice(1), [{ at: 101, bytes: 'bcd' }]);
  assert.deepEqual(told, [101, 104]);
});

test('nothing waits long for more, though no more comes', async () => {
  const { behind, writes, push } = fixture();
  await push('a');
  await push('b');
  for (let look = 0; look < 200 && writes.length < 2; look++)
    await new Promise((done) => setTimeout(done, 10));
  assert.deepEqual(writes.slice(1), [{ at: 101, bytes: 'b' }]);
  await behind.stop();
});

test('full batches are written meanwhile, and at most two are held', async () => {
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const { behind, told, push } = fixture({ gate });
  await push('x');
  const big = 'y'.repeat(1 << 20);
  let taken = 0;
  const pushing = (async () => {
    for (let i = 0; i < 3; i++) {
      await push(big);
      taken++;
    }
  })();
  await new Promise((done) => setTimeout(done, 20));
  assert.equal(taken, 1, 'one is being written, one is held');
  open();
  await pushing;
  await behind.flush();
  assert.equal(told.at(-1), 101 + 3 * (1 << 20));
});

test('however small the pieces, their number is limited', async () => {
  const { behind, writes, push } = fixture();
  for (let i = 0; i < 1000; i++) await push('z');
  assert.ok(writes.length >= 3, `${writes.length} writes`);
  await behind.flush();
  assert.equal(writes.map((one) => one.bytes).join(''), 'z'.repeat(1000));
});

test('a failure is told by the next call, and nothing is written after it', async () => {
  const { behind, writes, push } = fixture({ fail: (write) => write === 1 });
  await push('good');
  await push('bad');
  await assert.rejects(behind.flush(), /disk is full/);
  await assert.rejects(push('more'), /disk is full/);
  await assert.rejects(behind.flush(), /disk is full/);
  await behind.stop();
  assert.deepEqual(writes, [{ at: 100, bytes: 'good' }]);
  assert.equal(behind.written, 104);
});

test('a failure nobody waits for is kept, not thrown at the process', async () => {
  const { behind, push } = fixture({ fail: (write) => write === 1 });
  await push('a');
  await push('b');
  await new Promise((done) => setTimeout(done, 60));
  await assert.rejects(push('c'), /disk is full/);
  await behind.stop();
});

test('stop drops what is not being written', async () => {
  const { behind, writes, push } = fixture();
  await push('a');
  await push('dropped');
  await behind.stop();
  await new Promise((done) => setTimeout(done, 40));
  assert.deepEqual(writes, [{ at: 100, bytes: 'a' }]);
});

test('a file holds all pieces in order, whatever their sizes and pauses', async () => {
  const seed = chosenSeed();
  const next = seeded(seed);
  const dir = tempDir();
  const path = join(dir.path, 'data');
  const expected: Uint8Array[] = [];
  const file = await createFileSystem().open(path, 'write', 0o600);
  try {
    let time = 0;
    const sleep: Clock['sleep'] = (ms, signal) => pause(ms, undefined, { signal });
    const clock: Clock = { now: () => time, monotonic: () => time, sleep };
    const behind = new WriteBehind(file, 0, clock, () => {});
    for (let i = 0; i < 120; i++) {
      const piece = new Uint8Array(Math.floor(next() ** 3 * 300_000)).fill(i);
      expected.push(piece);
      time += next() * 7;
      await behind.push(piece);
    }
    await behind.flush();
    const all = Buffer.concat(expected);
    assert.equal(behind.written, all.length);
    assert.ok(readFileSync(path).equals(all), `seed ${seed}`);
  } finally {
    await file.close();
    dir[Symbol.dispose]();
  }
});

test('what is given is freed once it is written, where it has a buffer to itself', async () => {
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const { behind, writes } = fixture({ gate });
  const KIB = 1024;
  const pool = new Uint8Array(64 * KIB);
  const given = [new Uint8Array(16 * KIB), new Uint8Array(64 * KIB)];
  const kept = [new Uint8Array(16 * KIB - 1), pool.subarray(0, 32 * KIB), pool.subarray(32 * KIB)];
  const lent = new Uint8Array(64 * KIB);
  await behind.push(new Uint8Array(1));
  for (const bytes of [...given, ...kept]) await behind.push(bytes, true);
  await behind.push(lent);
  const flushed = behind.flush();
  await pause(1);
  assert.deepEqual(
    given.map(({ length }) => length),
    [16 * KIB, 64 * KIB],
    'not before they are written',
  );
  open();
  await flushed;
  assert.equal(writes[1]?.bytes.length, 16 * KIB + 64 * KIB + 16 * KIB - 1 + 64 * KIB + 64 * KIB);
  assert.deepEqual(
    given.map(({ buffer }) => buffer.byteLength),
    [0, 0],
  );
  assert.deepEqual(
    [...kept, lent].map(({ length }) => length),
    [16 * KIB - 1, 32 * KIB, 32 * KIB, 64 * KIB],
  );
});

test('what is given stays when its write fails or is stopped', async () => {
  const { behind } = fixture({ fail: (write) => write > 0 });
  const [failing, stopped] = [new Uint8Array(64 * 1024), new Uint8Array(64 * 1024)];
  await behind.push(new Uint8Array(1));
  await behind.push(failing, true);
  await assert.rejects(behind.flush(), /disk is full/);
  await behind.push(stopped, true).catch(() => {});
  await behind.stop();
  assert.deepEqual([failing.length, stopped.length], [64 * 1024, 64 * 1024]);
});
