/**
 * The hostile inputs and the breakouts once more, inside a user namespace where only root is mapped: no devices, no owners
 * but one, overlay mounts with `userxattr`. The test files are run again as they are.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import process from 'node:process';
import { describe, test } from 'node:test';
import { exec, describe as told } from '../../support/exec.ts';
import { isDeno, needs } from '../../support/needs.ts';
import { inUserNamespace, needsUserNamespace } from './hostile.ts';

const FILES = ['containerd-breakouts.test.ts', 'hostile-inputs.test.ts'];

/** What the files need in there. */
const TOOLS = ['mount', 'umount', 'setfattr'];

const runner = isDeno
  ? ['test', '-A', '--no-check']
  : ['--disable-warning=ExperimentalWarning', '--test-reporter=tap'];

describe('in a user namespace', {
  skip: inUserNamespace ? 'is in one already' : needsUserNamespace() || needs({ tools: TOOLS }),
}, () => {
  for (const file of FILES) {
    test(file, async () => {
      const { NODE_TEST_CONTEXT: _, ...env } = process.env;
      const args = ['-Urm', process.execPath, ...runner, join(import.meta.dirname, file)];
      // CI: nothing may be skipped in there.
      const result = await exec('unshare', args, { env: { ...env, CI: 'true' }, timeout: 240_000 });
      assert.equal(result.code, 0, told(result));
      const passed = /^# pass ([0-9]+)$|([0-9]+) passed(?: \(([0-9]+) steps\))?/m.exec(result.stdout);
      const count = Number(passed?.[1] ?? passed?.[3] ?? 0);
      assert.ok(count > 40, `${count} tests ran: ${told(result)}`);
    });
  }
});
