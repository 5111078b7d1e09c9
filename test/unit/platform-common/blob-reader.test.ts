import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isKind } from '../../../src/core/errors.ts';
import { openBlob } from '../../../src/platform/common/blob-reader.ts';
import { collect, testBytes } from '../../support/streams.ts';
import { tempDir } from '../../support/tmp.ts';

async function inDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = tempDir();
  try {
    await body(dir.path);
  } finally {
    dir[Symbol.dispose]();
  }
}

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
      assert.equal(Buffer.compare(await collect(openBlob(join(dir, 'blob'))), data), 0);
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
      await assert.rejects(collect(openBlob(join(dir, name))), (err) => {
        assert.ok(isKind(err, kind), `${name}: ${String(err)}`);
        assert.ok(String(err).includes(join(dir, name)));
        return true;
      });
    assert.equal(await openBelow(dir), 0);
  }));

test('cancelling and aborting close the file', () =>
  inDir(async (dir) => {
    writeFileSync(join(dir, 'blob'), testBytes('random', 5_000_000));
    const reader = openBlob(join(dir, 'blob')).getReader();
    await reader.read();
    assert.equal(await openBelow(dir), 1);
    await reader.cancel();
    assert.equal(await openBelow(dir), 0);

    const stop = new AbortController();
    const aborted = openBlob(join(dir, 'blob'), { signal: stop.signal }).getReader();
    await aborted.read();
    const reason = new Error('stop');
    stop.abort(reason);
    await assert.rejects(aborted.read(), (err) => err === reason);
    while ((await openBelow(dir)) > 0) await new Promise((resolve) => setTimeout(resolve, 1));

    const before = openBlob(join(dir, 'blob'), { signal: AbortSignal.abort(reason) });
    await assert.rejects(collect(before), (err) => err === reason);
    while ((await openBelow(dir)) > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }));
