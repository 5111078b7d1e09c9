import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostSystem } from '../../../src/core/ports/host.ts';
import { lackOf } from '../../../src/core/users/capabilities.ts';

test('the way to a capability is one that this user can go', () => {
  const of = (uid: number) => lackOf({ host: { uid } as HostSystem }, 'CAP_CHOWN', '--map-root-user');
  assert.deepEqual(of(1000), {
    why: 'not root (this process lacks CAP_CHOWN)',
    hint: 'Run as root, or run in a user namespace (unshare --map-root-user)',
  });
  assert.equal(of(0).why, 'root here lacks CAP_CHOWN');
  assert.match(
    of(0).hint,
    /^Give the container CAP_CHOWN \(docker run --cap-add CHOWN\), or run in a user namespace/,
  );
});
