import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hasFfi } from '../../../support/ffi.ts';
import { isDeno } from '../../../support/needs.ts';

const BUSY_WORKERS = fileURLToPath(new URL('../../../support/ffi-worker.ts', import.meta.url));

// Where node:ffi is. What it frees is overwritten (mallopt(3), M_PERTURB): whoever still reads it crashes, four times in five here.
if (hasFfi() && !isDeno) {
  test('a worker can be ended in the middle of calls into libc', () => {
    const args = ['--disable-warning=ExperimentalWarning', BUSY_WORKERS, '5000'];
    const env = { ...process.env, MALLOC_PERTURB_: '165' };
    const { status, signal, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
    assert.deepEqual([status, signal], [0, null], stderr);
  });
}
