/** Snapshots show the right owners only under the mapping of ids in which they were unpacked. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { hintOf, messageOf } from '../../../src/core/errors.ts';
import type { Runtime } from '../../../src/core/runtime.ts';
import { rejectsWith } from '../../suites/content.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { needs } from '../../support/needs.ts';
import { withStore } from '../../support/stores.ts';

const OWN = '0 0 4294967295\n';
const ALICE = '0 1000 1\n1 100000 65536\n';
const BOB = '0 1001 1\n1 200000 65536\n';

/** A runtime that finds itself under these ids. */
function mapped(ids: string): Runtime {
  const runtime = bareRuntime();
  const readFile: Runtime['fs']['readFile'] = async (path, limit, call) =>
    /^\/proc\/self\/[ug]id_map$/.test(path)
      ? new TextEncoder().encode(ids)
      : await runtime.fs.readFile(path, limit, call);
  return { ...runtime, fs: Object.assign(Object.create(runtime.fs), { readFile }) };
}

test('a store keeps to one mapping of ids as long as it has snapshots', {
  skip: needs({ root: true }),
}, async () => {
  await withStore(
    async ({ backend, root, open }) => {
      const as = async (ids: string) => (await open('testing', false, mapped(ids))).snapshotter('native');
      const alice = backend.snapshotter('native');
      const [bob, own] = [await as(BOB), await as(OWN)];
      await alice.prepare('k', '');
      await alice.commit('c', 'k');
      await alice.view('v', 'c');
      for (const other of [bob, own]) {
        const err = await rejectsWith('FailedPrecondition', other.view('w', 'c'));
        assert.match(messageOf(err), /ids of another user namespace, and would show other owners/);
        assert.match(hintOf(err) ?? '', /--root/);
        await rejectsWith('FailedPrecondition', other.prepare('p', ''));
      }
      await alice.remove('v');
      await alice.remove('c');
      await own.prepare('k', '');
      assert.equal(fs.existsSync(`${root}/snapshots/ids`), false);
      assert.match(
        messageOf(await rejectsWith('FailedPrecondition', bob.prepare('p', ''))),
        /machine's own ids/,
      );
    },
    { runtime: mapped(ALICE) },
  );
});
