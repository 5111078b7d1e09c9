/** What of a chain counts as there: nothing that the lease does not keep, whatever other clients do between the calls. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DirectAccess } from '../../../src/backends/containerd/direct.ts';
import { Durable } from '../../../src/backends/containerd/durable.ts';
import { Rebases } from '../../../src/backends/containerd/rebases.ts';
import { ContainerdSnapshotter } from '../../../src/backends/containerd/snapshotter.ts';
import { Unsynced } from '../../../src/backends/containerd/unsynced.ts';
import { waysOf } from '../../../src/backends/containerd/version.ts';
import { WriteOut } from '../../../src/core/layers/write-out.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { fakeContainerd } from '../../support/fake-containerd.ts';

const CHAIN = ['a', 'b', 'c', 'd'];
const COMMITTED = 3;

/** What is found of the chain and what the lease holds then, when the daemon has `given[n]` at the list `n`, the last ever after. */
async function outcome(
  given: readonly string[],
): Promise<{ found: string[]; held: string[]; lists: number }> {
  let lists = 0;
  const held: string[] = [];
  const fake = await fakeContainerd({
    'snapshots.v1.Snapshots/List': (call) => {
      const there = given[Math.min(lists++, given.length - 1)] ?? '';
      const filters = call.request.filters as string[];
      const info = [...there]
        .filter((name) => filters.includes(`name=="${name}"`))
        .map((name) => ({ name, parent: CHAIN[CHAIN.indexOf(name) - 1] ?? '', kind: COMMITTED }));
      call.write({ info });
      call.end();
      return undefined;
    },
    'leases.v1.Leases/AddResource': ({ request }) => {
      held.push((request.resource as { id: string }).id);
      return {};
    },
  });
  const runtime = bareRuntime();
  const { connection } = fake;
  const direct = new DirectAccess(connection, runtime, undefined);
  const noBoot = new Unsynced({ readFile: () => Promise.reject(new Error('no such file')) });
  const durable = new Durable(runtime.workers, new WriteOut(runtime), noBoot);
  const rebases = new Rebases({ name: 'overlayfs', capable: false }, connection, direct, runtime);
  const ways = { ...waysOf('2.4'), remote: false };
  const snapshots = new ContainerdSnapshotter(connection, 'overlayfs', { direct, durable, rebases }, ways);
  try {
    const found = [...(await snapshots.committedOf(CHAIN, { lease: 'l' }))].sort();
    return { found, held, lists };
  } finally {
    await fake[Symbol.asyncDispose]();
  }
}

/** By what the daemon has at each list. */
const CASES: readonly (readonly [string, readonly string[], string])[] = [
  ['nothing is there', [''], ''],
  ['nothing changes', ['abc'], 'abc'],
  ['another client commits the next layer', ['ab', 'abcd'], 'ab'],
  ['another client commits the first layer', ['', 'a'], ''],
  ['the highest is removed before the lease holds it', ['abc', 'ab'], 'ab'],
  ['the highest is removed, and made again', ['abc', 'ab', 'abcd'], 'ab'],
  ['one after the other is removed', ['abcd', 'abc', 'ab', 'a', ''], ''],
];

for (const [what, given, expected] of CASES) {
  test(`containerd chain: ${what}: what is found is kept by the lease`, async () => {
    const { found, held, lists } = await outcome(given);
    assert.equal(found.join(''), expected);
    if (expected !== '') assert.equal(held.at(-1), found.at(-1), 'the highest of them is held');
    assert.ok(lists <= CHAIN.length + 1);
  });
}
