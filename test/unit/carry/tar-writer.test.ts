/** Headers as POSIX has them, read back by our own reader and by tar(1). */
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { padding } from '../../../src/core/archive/write-entry.ts';
import { byteStream } from '../../../src/core/async/byte-stream.ts';
import { FileInput } from '../../../src/core/carry/file-archive.ts';
import { archiveBytes } from '../../../src/core/carry/outer-compression.ts';
import { TarEntries } from '../../../src/core/carry/tar-entries.ts';
import { tarHeader } from '../../../src/core/carry/tar-writer.ts';
import type { Codecs } from '../../../src/core/ports/codecs.ts';
import { createFileSystem } from '../../../src/platform/files/file-system.ts';
import { rejectsWith } from '../../support/bench.ts';
import { execOk } from '../../support/exec.ts';
import { needs } from '../../support/needs.ts';
import { tempDir } from '../../support/tmp.ts';

/** Writes entries whose contents are holes; returns the path. */
function sparseArchive(dir: string, sizes: readonly number[]): string {
  const path = join(dir, 'x.tar');
  const fd = openSync(path, 'w');
  let at = 0;
  for (const [n, size] of sizes.entries()) {
    const header = tarHeader({ name: `f${n}`, type: 'file', size, mtime: 0 });
    writeSync(fd, header, 0, header.length, at);
    at += header.length + size + padding(size).length;
  }
  ftruncateSync(fd, at + 1024);
  closeSync(fd);
  return path;
}

const SIZES = [0, 1, 512, 2 ** 33 - 1, 2 ** 33, 9 * 2 ** 30, 5];

test('A13: sizes from 8 GiB on have a PAX record; our reader passes over contents without reading them', async () => {
  const dir = tempDir();
  try {
    const file = await createFileSystem().open(sparseArchive(dir.path, SIZES), 'read');
    let read = 0;
    const counting = {
      ...file,
      read: async (into: Uint8Array, at: number) => {
        const got = await file.read(into, at);
        read += got;
        return got;
      },
    };
    const entries = new TarEntries(new FileInput(counting as typeof file, await file.size(), 16 * 1024));
    const found: number[] = [];
    for (let entry = await entries.next({}); entry !== undefined; entry = await entries.next({}))
      found.push(entry.size);
    assert.deepEqual(found, SIZES);
    assert.ok(read < 200 * 1024, `${read} bytes were read`);
    await file.close();
  } finally {
    dir[Symbol.dispose]();
  }
});

test('A13: GNU tar reads them', { skip: needs({ tools: ['tar'] }) }, async () => {
  const dir = tempDir();
  try {
    const { stdout } = await execOk('tar', ['--list', '--verbose', '--file', sparseArchive(dir.path, SIZES)]);
    const listed = stdout
      .trim()
      .split('\n')
      .map((line) => Number(line.split(/\s+/)[2]));
    assert.deepEqual(listed, SIZES);
  } finally {
    dir[Symbol.dispose]();
  }
});

test('HA11: an archive that expands to over 1 GiB and over 1000 times what was read is a bomb', async () => {
  const zeros = new Uint8Array(64 << 20);
  const head = Uint8Array.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
  const codecs: Codecs = {
    compressor: () => assert.fail('nothing is compressed'),
    get: async () => ({
      compression: 'gzip',
      implementation: 'native',
      library: 'none',
      decode: (source) => {
        const reader = source.getReader();
        return byteStream({
          next: async () => {
            await reader.read();
            return zeros;
          },
          cancel: () => reader.cancel(),
        });
      },
    }),
  };
  let cut = false;
  const source = byteStream({
    next: async () => head,
    cancel: () => {
      cut = true;
    },
  });
  const { input, cancel } = await archiveBytes(source, codecs, {});
  let bytes = 0;
  const readAll = async () => {
    for (;;) bytes += (await input.read({}))?.length ?? 0;
  };
  await rejectsWith('ResourceExhausted', /expands to more than/, readAll());
  assert.equal(bytes, 2 ** 30);
  await cancel();
  assert.equal(cut, true);
});
