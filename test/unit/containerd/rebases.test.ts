/** When a layer is committed over a parent that it was prepared without (row C5), and what is done where that cannot be relied on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DirectAccess } from '../../../src/backends/containerd/direct.ts';
import { Durable } from '../../../src/backends/containerd/durable.ts';
import { Rebases } from '../../../src/backends/containerd/rebases.ts';
import { ContainerdSnapshotter } from '../../../src/backends/containerd/snapshotter.ts';
import { Unsynced } from '../../../src/backends/containerd/unsynced.ts';
import { waysOf } from '../../../src/backends/containerd/version.ts';
import { isNeedsBelow } from '../../../src/core/archive/guesses.ts';
import type { RebaseJob } from '../../../src/core/layers/workers.ts';
import { WriteOut } from '../../../src/core/layers/write-out.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { failure } from '../../support/failure.ts';
import { type FakeContainerd, fakeContainerd, status } from '../../support/fake-containerd.ts';

const RECORD = { nodes: [], guesses: [] };
const PLAIN = ['index=off'];
const treeOf = (id: string) => `/s/${id}/fs`;

interface Setting {
  readonly capable?: boolean;
  /** Options of an overlay mount, beside its directories. */
  readonly options?: readonly string[];
  /** Whether the workers reach the directories. */
  readonly reach?: boolean;
  /** What the workers say. */
  readonly reason?: string;
  /** How Commit ends. */
  readonly commit?: { readonly code: number; readonly details: string };
  /** The daemon skips the field `parent`. */
  readonly skips?: boolean;
  readonly removal?: 'fails';
  /** The call that fails, counted from 0. */
  readonly failing?: number;
}

interface World {
  readonly snapshots: ContainerdSnapshotter;
  readonly rebases: Rebases;
  readonly log: string[];
  readonly jobs: RebaseJob[];
  readonly fake: FakeContainerd;
}

/** A daemon with a committed snapshot `one` in /s/one/fs. A snapshot's directory has its key's last word for a name. */
async function withWorld(setting: Setting, body: (world: World) => Promise<void>): Promise<void> {
  const log: string[] = [];
  const jobs: RebaseJob[] = [];
  const parents = new Map([['one', '']]);
  const note = (line: string): void => {
    log.push(line);
    if (log.length - 1 === setting.failing) throw status(14, 'it fails: unavailable');
  };
  const idOf = (key: unknown) => String(key).split(' ').at(-1) ?? '';
  const fake = await fakeContainerd({
    'snapshots.v1.Snapshots/Prepare': ({ request: { key, parent } }) => {
      const name = String(key).replace(/^hawser-probe-.*/, 'probe');
      note(`prepare ${idOf(name)} on ${parent ?? ''}`);
      const upper = treeOf(idOf(name));
      if (!parent) return { mounts: [{ type: 'bind', source: upper, options: ['rw', 'rbind'] }] };
      const below: string[] = [];
      for (let at = String(parent); at !== ''; at = parents.get(at) ?? '') below.push(treeOf(at));
      const dirs = [`workdir=${upper}`, `upperdir=${upper}`, `lowerdir=${below.join(':')}`];
      return {
        mounts: [{ type: 'overlay', source: 'overlay', options: [...dirs, ...(setting.options ?? PLAIN)] }],
      };
    },
    'snapshots.v1.Snapshots/Commit': ({ request: { name, parent } }) => {
      note(`commit ${name} over ${parent}`);
      if (setting.commit !== undefined) throw status(setting.commit.code, setting.commit.details);
      parents.set(String(name), setting.skips === true ? '' : String(parent));
      return {};
    },
    'snapshots.v1.Snapshots/Stat': ({ request: { key } }) => {
      note(`stat ${key}`);
      return { info: { name: key, parent: parents.get(String(key)), kind: 3 } };
    },
    'snapshots.v1.Snapshots/Remove': ({ request: { key } }) => {
      const name = String(key).replace(/^hawser-probe-.*/, 'probe');
      note(`remove ${name}`);
      if (setting.removal === 'fails' && name !== 'probe') throw status(9, 'it has children');
      return {};
    },
  });
  const { connection } = fake;
  const runtime = bareRuntime();
  const rebase = async (job: RebaseJob) => {
    jobs.push(job);
    return setting.reason ?? null;
  };
  const reaching = {
    hopesFor: () => true,
    over: async <T>(
      { upper, lowers }: { upper?: string | undefined; lowers: readonly string[] },
      work: (root: string, below: readonly string[]) => Promise<T>,
    ) => (setting.reach === false ? undefined : await work(upper ?? '', lowers)),
  };
  const named = { name: 'overlayfs', capable: setting.capable ?? true };
  const rebases = new Rebases(named, connection, reaching, { host: runtime.host, workers: { rebase } });
  const noBoot = new Unsynced({ readFile: () => Promise.reject(new Error('no such file')) });
  const durable = new Durable(runtime.workers, new WriteOut(runtime), noBoot);
  const direct = new DirectAccess(connection, runtime, undefined);
  const parts = { direct, durable, rebases };
  const snapshots = new ContainerdSnapshotter(connection, 'overlayfs', parts, {
    ...waysOf('2.4'),
    remote: false,
  });
  try {
    await body({ snapshots, rebases, log, jobs, fake });
  } finally {
    await fake[Symbol.asyncDispose]();
  }
}

test('containerd: the command that removes a snapshot names its namespace, and a shell reads its name whole', async () => {
  await withWorld({}, async ({ snapshots }) => {
    for (const [name, word] of [
      ['sha256:ab', 'sha256:ab'],
      ['extract-1 sha256:ab', "'extract-1 sha256:ab'"],
      ["a'$(b)", "'a'\\''$(b)'"],
      ['', "''"],
    ] as const)
      assert.equal(snapshots.removalOf(name), `ctr -n testing snapshots --snapshotter overlayfs rm ${word}`);
  });
});

const lease = 'the-lease';
/** Prepares, rebases over `parent`, commits. */
async function make({ snapshots }: World, name: string, parent: string): Promise<void> {
  const key = `extract-1-abcd ${name}`;
  await snapshots.prepare(key, '', { lease });
  assert.equal(await snapshots.rebase(key, parent, RECORD, { lease }), undefined);
  await snapshots.commit(name, key, { lease });
}

test('containerd rebases: the first layer shows mounts and parent; those above cost a Prepare and a Commit', async () => {
  await withWorld({}, async (world) => {
    assert.equal(await world.snapshots.rebases(), true);
    await make(world, 'two', 'one');
    const first = [
      'prepare two on ',
      'prepare probe on one',
      'remove probe',
      'commit two over one',
      'stat two',
    ];
    assert.deepEqual(world.log.splice(0), first);
    await make(world, 'three', 'two');
    assert.deepEqual(world.log.splice(0), ['prepare three on ', 'commit three over two']);
    const stores = new Set(world.jobs.map(({ store }) => store));
    assert.ok(stores.size === 1 && !stores.has(undefined));
    assert.deepEqual(
      world.jobs.map(({ root, lowers, mode }) => [mode, root, ...lowers]),
      [
        ['overlay', treeOf('two'), treeOf('one')],
        ['overlay', treeOf('three'), treeOf('two'), treeOf('one')],
      ],
    );
  });
});

test('containerd rebases: a layer that was applied in order is known to those above it', async () => {
  await withWorld({}, async (world) => {
    await make(world, 'two', 'one');
    const key = 'extract-1-abcd three';
    await world.snapshots.prepare(key, 'two', { lease });
    await world.snapshots.commit('three', key, { lease });
    world.log.splice(0);
    await make(world, 'four', 'three');
    assert.deepEqual(world.log, ['prepare four on ', 'commit four over three']);
    assert.deepEqual(world.jobs.at(-1)?.lowers, ['three', 'two', 'one'].map(treeOf));
  });
});

test('containerd rebases: what one lease holds is not taken for held by another', async () => {
  await withWorld({}, async (world) => {
    await make(world, 'two', 'one');
    const key = 'extract-1-abcd three';
    await world.snapshots.prepare(key, '', { lease: 'another' });
    world.log.splice(0);
    await world.snapshots.rebase(key, 'two', RECORD, { lease: 'another' });
    assert.deepEqual(world.log, ['prepare probe on two', 'remove probe']);
  });
});

const KEY = 'extract-1-abcd two';
const IN_ORDER: readonly (readonly [string, Setting])[] = [
  ['the mounts are no plain directories', { options: ['index=off', 'userxattr'] }],
  ['the workers do not reach the directories', { reach: false }],
];
for (const [why, setting] of IN_ORDER) {
  test(`containerd rebases: ${why}: the layer is applied in order`, async () => {
    await withWorld(setting, async ({ snapshots, jobs }) => {
      await snapshots.prepare(KEY, '', { lease });
      assert.match(
        (await snapshots.rebase(KEY, 'one', RECORD, { lease })) ?? '',
        /containerd itself applies/,
      );
      assert.deepEqual(jobs, []);
      if (setting.options !== undefined) assert.equal(await snapshots.rebases(), false);
    });
  });
}

test('containerd rebases: a wrong guess has one layer applied in order; the next is rebased', async () => {
  await withWorld({ reason: '"a" is a symbolic link' }, async ({ snapshots }) => {
    await snapshots.prepare(KEY, '', { lease });
    assert.equal(await snapshots.rebase(KEY, 'one', RECORD, { lease }), '"a" is a symbolic link');
    assert.equal(await snapshots.rebases(), true);
  });
});

test('containerd rebases: without the capability nothing is prepared without its parent', async () => {
  await withWorld({ capable: false }, async ({ snapshots }) => {
    assert.equal(await snapshots.rebases(), false);
  });
});

for (const [code, details] of [
  [3, 'cannot change parent of active snapshot: invalid argument'],
  [9, 'parent is not committed: failed precondition'],
  [12, 'not implemented'],
] as const) {
  test(`containerd rebases: a commit that is refused (${code}): in order, from then on`, async () => {
    await withWorld({ commit: { code, details } }, async (world) => {
      const err = await failure(make(world, 'two', 'one'));
      assert.ok(isNeedsBelow(err), String(err));
      assert.match(String(err), new RegExp(details));
      assert.equal(await world.snapshots.rebases(), false);
    });
  });
}

for (const code of [4, 5, 6, 14]) {
  test(`containerd rebases: a commit that fails otherwise (${code}) fails as such`, async () => {
    const details = code === 14 ? 'busy: unavailable' : 'it fails';
    await withWorld({ commit: { code, details } }, async (world) => {
      const err = await failure(make(world, 'two', 'one'));
      assert.equal(isNeedsBelow(err), false, String(err));
      assert.equal(await world.snapshots.rebases(), true);
    });
  });
}

test('containerd rebases: a parent that was not heeded: the snapshot is removed, and in order from then on', async () => {
  await withWorld({ skips: true }, async (world) => {
    const err = await failure(make(world, 'two', 'one'));
    assert.ok(isNeedsBelow(err), String(err));
    assert.deepEqual(world.log.slice(-2), ['stat two', 'remove two']);
    assert.equal(await world.snapshots.rebases(), false);
  });
  await withWorld({ skips: true, removal: 'fails' }, async (world) => {
    const err = await failure(make(world, 'two', 'one'));
    assert.equal(isNeedsBelow(err), false);
    assert.match(String(err), /has committed two without its parent, and it cannot be removed/);
  });
});

test('containerd rebases: a key that was removed or never prepared is not rebased', async () => {
  await withWorld({}, async ({ snapshots, jobs }) => {
    await snapshots.prepare(KEY, '', { lease });
    await snapshots.remove(KEY);
    assert.match((await snapshots.rebase(KEY, 'one', RECORD, { lease })) ?? '', /containerd itself/);
    assert.deepEqual(jobs, []);
  });
});

test('containerd rebases: of too many at once the later ones are applied in order, and none is committed as a base', async () => {
  await withWorld({}, async ({ snapshots, rebases, log }) => {
    await snapshots.prepare(KEY, '', { lease });
    assert.equal(await snapshots.rebase(KEY, 'one', RECORD, { lease }), undefined);
    for (let i = 0; i < 3000; i++)
      rebases.prepared(`extract-1-abcd ${i}`, { upper: treeOf(`${i}`), lowers: [] });
    const late = 'extract-1-abcd late';
    await snapshots.prepare(late, '', { lease });
    assert.match((await snapshots.rebase(late, 'one', RECORD, { lease })) ?? '', /containerd itself/);
    await snapshots.commit('two', KEY, { lease });
    assert.ok(log.includes('commit two over one'), log.join());
  });
});

test('containerd rebases: whichever call fails, nothing is committed without its parent, and the next try is whole', async () => {
  const calls = [
    'prepare two on ',
    'prepare probe on one',
    'remove probe',
    'commit two over one',
    'stat two',
  ];
  for (const failing of calls.keys()) {
    await withWorld({ failing }, async (world) => {
      const err = await failure(make(world, 'two', 'one'));
      assert.match(String(err), /it fails/, `call ${failing}`);
      assert.equal(isNeedsBelow(err), false);
      // As the extraction does.
      await world.snapshots.remove(KEY);
      await make(world, 'two', 'one');
      assert.deepEqual(
        world.log.filter((line) => line.startsWith('commit') && line !== 'commit two over one'),
        [],
      );
      assert.ok(world.log.includes('stat two'), `call ${failing}`);
    });
  }
});
