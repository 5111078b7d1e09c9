import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { appendFileSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Gauge } from '../../../../src/core/async/gauge.ts';
import { isKind } from '../../../../src/core/errors.ts';
import { openBlob } from '../../../../src/platform/threads/blob-reader.ts';
import { collect, testBytes } from '../../../support/streams.ts';
import { tempDir } from '../../../support/tmp.ts';

async function inDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = tempDir();
  try {
    await body(dir.path);
  } finally {
    dir[Symbol.dispose]();
  }
}

const whole = (blob: string) => ({ blob, blobSize: 0, growing: null });

/** Descriptors of this process that are open on files below a directory. */
async function openBelow(dir: string): Promise<number> {
  const { readlinkSync } = await import('node:fs');
  let count = 0;
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`).startsWith(dir)) count++;
    } catch {}
  }
  return count;
}

test('openBlob gives the whole file, and closes it', () =>
  inDir(async (dir) => {
    for (const length of [0, 1, 1024 * 1024, 3 * 1024 * 1024 + 5]) {
      const data = testBytes('random', length);
      writeFileSync(join(dir, 'blob'), data);
      assert.equal(Buffer.compare(await collect(openBlob(whole(join(dir, 'blob')))), data), 0);
    }
    assert.equal(await openBelow(dir), 0);
  }));

test('openBlob opens regular files only, never through a symlink', () =>
  inDir(async (dir) => {
    writeFileSync(join(dir, 'blob'), 'x');
    symlinkSync('blob', join(dir, 'link'));
    mkdirSync(join(dir, 'sub'));
    for (const [name, kind] of [
      ['absent', 'NotFound'],
      ['link', 'FailedPrecondition'],
      ['sub', 'FailedPrecondition'],
      ['blob/x', 'FailedPrecondition'],
    ] as const)
      await assert.rejects(collect(openBlob(whole(join(dir, name)))), (err) => {
        assert.ok(isKind(err, kind), `${name}: ${String(err)}`);
        assert.ok(String(err).includes(join(dir, name)));
        return true;
      });
    assert.equal(await openBelow(dir), 0);
  }));

test('cancelling and aborting close the file', () =>
  inDir(async (dir) => {
    writeFileSync(join(dir, 'blob'), testBytes('random', 5_000_000));
    const reader = openBlob(whole(join(dir, 'blob'))).getReader();
    await reader.read();
    assert.equal(await openBelow(dir), 1);
    await reader.cancel();
    assert.equal(await openBelow(dir), 0);

    const stop = new AbortController();
    const aborted = openBlob(whole(join(dir, 'blob')), { signal: stop.signal }).getReader();
    await aborted.read();
    const reason = new Error('stop');
    stop.abort(reason);
    await assert.rejects(aborted.read(), (err) => err === reason);
    while ((await openBelow(dir)) > 0) await new Promise((resolve) => setTimeout(resolve, 1));

    const before = openBlob(whole(join(dir, 'blob')), { signal: AbortSignal.abort(reason) });
    await assert.rejects(collect(before), (err) => err === reason);
    while ((await openBelow(dir)) > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }));

test('a growing blob is read as it grows, and no further than it is good, through its move to its place', () =>
  inDir(async (dir) => {
    const data = testBytes('random', 2_000_000);
    const [path, blob] = [join(dir, 'data'), join(dir, 'blob')];
    const gauge = new Gauge();
    writeFileSync(path, data.subarray(0, 700_000));
    gauge.grow(600_000);
    const source = { blob, blobSize: data.length, growing: { path, gauge: gauge.buffer } };
    const reader = openBlob(source).getReader();
    const first: Uint8Array[] = [];
    for (let got = 0; got < 600_000; got += first.at(-1)?.length ?? 0) {
      first.push((await reader.read()).value ?? new Uint8Array());
    }
    const before = first.reduce((sum, chunk) => sum + chunk.length, 0);
    const rest: Uint8Array[] = [];
    const reading = (async () => {
      for (let next = await reader.read(); !next.done; next = await reader.read()) rest.push(next.value);
    })();
    for (let at = 700_000; at < data.length; at += 100_000) {
      appendFileSync(path, data.subarray(at, at + 100_000));
      gauge.grow(at + 100_000);
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (at === 1_000_000) renameSync(path, blob);
      if (at === 1_000_000) symlinkSync(blob, path);
    }
    await reading;
    assert.equal(before, 600_000, 'no further than it is good');
    assert.equal(Buffer.compare(Buffer.concat([...first, ...rest]), data), 0);
    assert.equal(await openBelow(dir), 0);
  }));

test('a growing blob that is in its place already is read there', () =>
  inDir(async (dir) => {
    const blob = join(dir, 'blob');
    writeFileSync(blob, 'complete');
    const gauge = new Gauge();
    gauge.grow(8);
    const growing = { path: join(dir, 'data'), gauge: gauge.buffer };
    const bytes = await collect(openBlob({ blob, blobSize: 8, growing }));
    assert.equal(new TextDecoder().decode(bytes), 'complete');
  }));

test('a growing blob that begins anew is Aborted, and one that never grows ends with the signal', () =>
  inDir(async (dir) => {
    const path = join(dir, 'data');
    writeFileSync(path, 'some');
    const gauge = new Gauge();
    const source = { blob: join(dir, 'blob'), blobSize: 100, growing: { path, gauge: gauge.buffer } };
    const reading = collect(openBlob(source));
    gauge.restart();
    await assert.rejects(reading, (err) => isKind(err, 'Aborted'));
    const stop = new AbortController();
    const never = { ...source, growing: { path, gauge: new Gauge().buffer } };
    const waiting = collect(openBlob(never, { signal: stop.signal }));
    const reason = new Error('stop');
    stop.abort(reason);
    await assert.rejects(waiting, (err) => err === reason);
    while ((await openBelow(dir)) > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }));
