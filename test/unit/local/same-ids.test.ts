/** Snapshots show the right owners only under the mapping of ids in which they were unpacked. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { hintOf, messageOf } from '../../../src/core/errors.ts';
import type { Runtime } from '../../../src/core/ports/runtime.ts';
import { rejectsWith } from '../../suites/content.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { needs } from '../../support/needs.ts';
import { withStore } from '../../support/stores.ts';

const OWN = '0 0 4294967295\n';
const ALICE = '0 1000 1\n1 100000 65536\n';
const BOB = '0 1001 1\n1 200000 65536\n';

/** A runtime that finds itself under `map.now`. */
function mapped(map: { now: string }): Runtime {
  const runtime = bareRuntime();
  const readFile: Runtime['fs']['readFile'] = async (path, limit, call) =>
    /^\/proc\/self\/[ug]id_map$/.test(path)
      ? new TextEncoder().encode(map.now)
      : await runtime.fs.readFile(path, limit, call);
  return { ...runtime, fs: Object.assign(Object.create(runtime.fs), { readFile }) };
}

test('a store keeps to one mapping of ids as long as it has snapshots', {
  skip: needs({ root: true }),
}, async () => {
  const map = { now: ALICE };
  await withStore(
    async ({ backend, root }) => {
      const sn = backend.snapshotter('native');
      await sn.prepare('k', '');
      await sn.commit('c', 'k');
      await sn.view('v', 'c');
      for (const other of [BOB, OWN]) {
        map.now = other;
        const err = await rejectsWith('FailedPrecondition', sn.view('w', 'c'));
        assert.match(messageOf(err), /ids of another user namespace, and would show other owners/);
        assert.match(hintOf(err) ?? '', /--root/);
        await rejectsWith('FailedPrecondition', backend.snapshotter('native').prepare('p', ''));
      }
      map.now = ALICE;
      await sn.remove('v');
      await sn.remove('c');
      map.now = OWN;
      await sn.prepare('k', '');
      assert.equal(fs.existsSync(`${root}/snapshots/ids`), false);
      map.now = BOB;
      assert.match(
        messageOf(await rejectsWith('FailedPrecondition', sn.prepare('p', ''))),
        /machine's own ids/,
      );
    },
    { runtime: mapped(map) },
  );
});
