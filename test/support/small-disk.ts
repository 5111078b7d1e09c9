/** A small file system of a test's own (root), and filling it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tempDir } from './tmp.ts';

/** `size` in MiB. */
export async function onSmallDisk(size: number, body: (place: string) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const place = `${dir.path}/m`;
  fs.mkdirSync(place);
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}m`, 'none', place]).status, 0);
  try {
    await body(place);
  } finally {
    spawnSync('umount', [place]);
    dir[Symbol.dispose]();
  }
}

/** Until not a byte is free. */
export function fillDisk(place: string): void {
  const file = fs.openSync(`${place}/fill`, 'w');
  try {
    for (let size = 1 << 20; size >= 1; size >>= 4) {
      try {
        for (;;) fs.writeSync(file, Buffer.alloc(size, 1));
      } catch {}
    }
  } finally {
    fs.closeSync(file);
  }
}
