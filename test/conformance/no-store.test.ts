/** What only removes makes no store where there is none, and does not claim to have removed anything. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { workerUrl } from '../../src/entry/worker-url.ts';
import { composeRuntime } from '../../src/platform/compose.ts';
import { runHere } from '../support/command-line.ts';
import { parts } from '../support/this-runtime.ts';
import { tempDir } from '../support/tmp.ts';

const ROWS: readonly { readonly args: readonly string[]; readonly code: number; readonly out: RegExp }[] = [
  { args: ['gc'], code: 0, out: /\b0\b/ },
  { args: ['gc', '--json'], code: 0, out: /"blobs": ?0/ },
  { args: ['gc', '--dry-run'], code: 0, out: /./ },
  { args: ['unmount', 'DIR'], code: 1, out: /^$/ },
  { args: ['unmount', '--rm', 'DIR'], code: 0, out: /^$/ },
  { args: ['unmount', '--rm', '--json', 'DIR'], code: 0, out: /"found": ?false/ },
];

for (const { args, code, out } of ROWS) {
  test(args.join(' '), async (t) => {
    const dir = tempDir();
    t.after(() => dir[Symbol.dispose]());
    const [root, target] = [join(dir.path, 'root'), join(dir.path, 'target')];
    mkdirSync(target);
    const runtime = composeRuntime(parts, { workerUrl: workerUrl() });
    const given = args.map((arg) => (arg === 'DIR' ? target : arg));
    const ran = await runHere(runtime, root, given);
    await runtime.workers[Symbol.asyncDispose]();
    assert.equal(ran.code, code, ran.err);
    assert.match(ran.out, out);
    assert.equal(existsSync(root), false);
  });
}
