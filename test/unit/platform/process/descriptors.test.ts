/** A process whose descriptors are all in use: a program that cannot be run is an error of the call, and ends nothing else. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { isDeno } from '../../../support/needs.ts';
import { repository } from '../../../support/runtimes.ts';

const PROBE = join(repository, 'test/support/few-descriptors.ts');
const WAYS = ['program', 'apart', 'tool', 'tool at once'];

test('programs and tools: without a free descriptor the call fails, and the process goes on', () => {
  const args = isDeno ? ['run', '-A', '--no-check', PROBE] : ['--disable-warning=ExperimentalWarning', PROBE];
  // The hard limit, too: Node raises the soft one to it.
  const limited = ['-c', 'ulimit -n 64 && exec "$@"', 'sh', process.execPath, ...args];
  const { status, stdout, stderr } = spawnSync('sh', limited, { encoding: 'utf8', timeout: 30_000 });
  assert.equal(status, 0, stderr);
  const ends = stdout.trim().split('\n');
  for (const way of WAYS) {
    const kinds = ends.filter((line) => line.startsWith(`${way}:`)).map((line) => line.split(':')[2] ?? '');
    // Deno's spawnSync does not say what it lacks.
    const lacking = isDeno && way === 'tool at once' ? 'Internal' : 'ResourceExhausted';
    assert.equal(kinds[0], lacking, way);
    assert.equal(kinds.at(-1), 'well', way);
    assert.deepEqual([...new Set(kinds)].sort(), [lacking, 'well'], `${way}: ${kinds}`);
  }
});
