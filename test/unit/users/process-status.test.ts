import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseProcessStatus } from '../../../src/core/users/process-status.ts';

const STATUS = 'Name:\tnode\nUmask:\t0027\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nCapEff:\t0000000000200001\n';

test('ids, umask and capabilities of /proc/self/status', () => {
  assert.deepEqual(parseProcessStatus(STATUS), {
    effectiveGid: 6,
    fileUid: 4,
    fileGid: 8,
    umask: 0o27,
    capabilities: 0x200001n,
  });
});

for (const [name, text] of [
  ['an empty file', ''],
  ['lines of other forms', 'Umask:\tx\nUid:\t1\t2\nGid:\tall\nCapEff:\tff ff\n'],
] as const) {
  test(`${name} says nothing`, () => {
    const nothing = { effectiveGid: undefined, fileUid: undefined, fileGid: undefined };
    assert.deepEqual(parseProcessStatus(text), { ...nothing, umask: undefined, capabilities: undefined });
  });
}
