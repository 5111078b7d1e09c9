import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { needsBelow } from '../../../src/core/archive/guesses.ts';
import { orAborted } from '../../../src/core/async/abort.ts';
import { Milestone, reached } from '../../../src/core/async/milestone.ts';
import { HawserError, isKind } from '../../../src/core/errors.ts';
import { extractKey } from '../../../src/core/layers/extract-key.ts';
import { planUnpack } from '../../../src/core/layers/layer-steps.ts';
import { LAYER_OF_SMALL_IMAGE } from '../../../src/core/layers/small-layer.ts';
import type { UnpackJob } from '../../../src/core/layers/unpack-job.ts';
import { unpackLayers } from '../../../src/core/layers/unpacker.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { type Digest, makeDigest } from '../../../src/core/oci/digest.ts';
import type { Hashers } from '../../../src/core/ports/hashers.ts';
import type { ProgressEvent } from '../../../src/core/progress/events.ts';
import type { LayerSnapshotter, SnapshotInfo } from '../../../src/core/snapshots/snapshotter.ts';

const hashers: Hashers = {
  create(name) {
    const hash = createHash(name);
    return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('hex') };
  },
};
const digestOf = (text: string): Digest =>
  makeDigest('sha256', createHash('sha256').update(text).digest('hex'));
/** Compressed bytes of a layer that is not small. */
const LARGE = LAYER_OF_SMALL_IMAGE + 1;
const layer = (n: number, mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip'): Descriptor => ({
  mediaType,
  digest: digestOf(`blob ${n}`),
  size: LARGE + n,
});
const CONFIG: Descriptor = {
  mediaType: 'application/vnd.oci.image.config.v1+json',
  digest: digestOf('config'),
  size: 5,
};
const MANIFEST: Descriptor = {
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: digestOf('m'),
  size: 5,
};
const diffs: Digest[] = ['layer-a', 'layer-b', 'layer-c'].map(digestOf);

test('the plan pairs layers with diff IDs and chains them', () => {
  const steps = planUnpack(MANIFEST, [CONFIG, layer(0), layer(1), layer(2)], diffs, hashers);
  assert.deepEqual(
    steps.map((s) => s.chainId),
    [
      'sha256:589f0d58b9053a4ff7329b8fdb4f9dd120e29354c086ad0b3b10733f6cfd6de3',
      'sha256:267c5fd16af60e52927fabf0a36a31f3b5a2069347f7f00c7bd7f93f6ebc01f4',
      'sha256:82c0ed5f6c15be9b9180a8c04b9f2c676d74af6db13c711f5bb47a0fa43b56df',
    ],
  );
  assert.deepEqual(
    steps.map((s) => s.parent),
    ['', steps[0]?.chainId, steps[1]?.chainId],
  );
});

test('the plan counts only layers, and refuses other numbers of layers and diff IDs', () => {
  assert.equal(
    planUnpack(
      MANIFEST,
      [CONFIG, layer(0), layer(1, 'application/vnd.in-toto+json')],
      diffs.slice(0, 1),
      hashers,
    ).length,
    1,
  );
  assert.deepEqual(planUnpack(MANIFEST, [CONFIG], [], hashers), []);
  for (const [children, ids] of [
    [[CONFIG, layer(0)], diffs],
    [[CONFIG, layer(0), layer(1)], diffs.slice(0, 1)],
  ] as const) {
    assert.throws(
      () => planUnpack(MANIFEST, children, ids, hashers),
      (err) =>
        isKind(err, 'InvalidArgument') &&
        /number of layers and diffIDs don't match/.test((err as Error).message),
    );
  }
});

test('extract keys are unique and have containerd’s form', () => {
  const keys = new Set(Array.from({ length: 1000 }, () => extractKey('sha256:ab', 1_700_000_000_123)));
  assert.equal(keys.size, 1000);
  for (const key of keys) assert.match(key, /^extract-\d{1,9}-[A-Za-z0-9_-]{4} sha256:ab$/);
});

/** Snapshots in memory, with a log. */
class FakeSnapshots implements Pick<LayerSnapshotter, 'name' | 'stat' | 'prepare' | 'commit' | 'remove'> {
  readonly name = 'overlayfs';
  readonly log: string[] = [];
  readonly committed = new Set<string>();
  readonly active = new Set<string>();
  loseRace = false;

  async stat(key: string): Promise<SnapshotInfo> {
    if (!this.committed.has(key)) throw new HawserError('NotFound', key);
    return { name: key, kind: 'Committed', parent: '', labels: {}, createdAt: 0, updatedAt: 0 };
  }
  async prepare(key: string, parent: string): Promise<object> {
    assert.ok(parent === '' || this.committed.has(parent), 'parents are committed first');
    this.active.add(key);
    this.log.push(`prepare on ${parent.slice(7, 11)}`);
    return {};
  }
  async commit(name: string, key: string): Promise<void> {
    this.committed.add(name);
    if (this.loseRace) throw new HawserError('AlreadyExists', name);
    this.active.delete(key);
    this.log.push(`commit ${name.slice(7, 11)}`);
  }
  async remove(key: string): Promise<void> {
    this.active.delete(key);
    this.log.push('remove');
  }
}

type Deps = Omit<UnpackJob, 'lease' | 'signal' | 'settings' | 'blob'>;

function setUp(actual: (n: number) => Digest = (n) => diffs[n] ?? digestOf('?')) {
  const snapshots = new FakeSnapshots();
  const labels: Record<string, Record<string, string>> = {};
  const events: ProgressEvent[] = [];
  let applied = 0;
  const deps: Deps = {
    content: {
      info: async (digest) => ({ digest, size: 1, createdAt: 0, updatedAt: 0, labels: labels[digest] ?? {} }),
      label: async (digest, set) => {
        labels[digest] = { ...labels[digest], ...set };
        return { digest, size: 1, createdAt: 0, updatedAt: 0, labels: labels[digest] ?? {} };
      },
      verify: async () => true,
    },
    leases: { add: async () => {} },
    snapshotter: snapshots as unknown as LayerSnapshotter,
    applier: {
      apply: async () => ({ digest: actual(applied++), size: 1, warnings: [], record: undefined }),
    },
    report: (event) => events.push(event),
    clock: { now: () => 5, monotonic: () => performance.now(), sleep: async () => {} },
    cpus: 1,
  };
  const opts = {
    lease: 'l',
    signal: new AbortController().signal,
    settings: { jobs: 2 },
    blob: () => ({ started: reached(), verified: reached() }),
  };
  const steps = planUnpack(MANIFEST, [CONFIG, layer(0), layer(1), layer(2)], diffs, hashers);
  return { snapshots, labels, events, deps, opts, steps, applied: () => applied };
}

test('layers are prepared, applied, checked and committed in order, then labelled', async () => {
  const { snapshots, labels, deps, opts, steps } = setUp();
  const top = await unpackLayers({ ...deps, ...opts }, CONFIG, steps);
  assert.equal(top, steps[2]?.chainId);
  assert.deepEqual(snapshots.log, [
    'prepare on ',
    'commit 589f',
    'prepare on 589f',
    'commit 267c',
    'prepare on 267c',
    'commit 82c0',
  ]);
  assert.deepEqual(labels[CONFIG.digest], { 'containerd.io/gc.ref.snapshot.overlayfs': top });
  assert.deepEqual(labels[layer(1).digest], { 'containerd.io/uncompressed': diffs[1] });
});

test('what is there is not applied again, but labelled', async () => {
  const { snapshots, labels, events, deps, opts, steps, applied } = setUp(
    (n) => diffs[n + 1] ?? digestOf('?'),
  );
  snapshots.committed.add(steps[0]?.chainId ?? '');
  await unpackLayers({ ...deps, ...opts }, CONFIG, steps);
  assert.equal(applied(), 2);
  assert.equal(labels[layer(0).digest]?.['containerd.io/uncompressed'], diffs[0]);
  assert.ok(events.some((e) => e.type === 'layer' && e.index === 0 && e.status === 'exists'));
});

test('a snapshotter that can tell of all layers at once is asked once; a layer just extracted is labelled without a look', async () => {
  const { snapshots, labels, deps, opts, steps, applied } = setUp((n) => diffs[n + 1] ?? digestOf('?'));
  const [first = ''] = steps.map(({ chainId }) => chainId);
  snapshots.committed.add(first);
  const asked: string[][] = [];
  const looked: string[] = [];
  const snapshotter = Object.assign(Object.create(snapshots), {
    stat: () => assert.fail('one at a time'),
    committedOf: async (chain: readonly string[]) => {
      asked.push([...chain]);
      return new Set([first]);
    },
  }) as LayerSnapshotter;
  const info: UnpackJob['content']['info'] = async (digest, call) => {
    looked.push(digest);
    return await deps.content.info(digest, call);
  };
  const content = { ...deps.content, info };
  const leases = { add: () => assert.fail('held already') };
  await unpackLayers({ ...deps, content, leases, snapshotter, ...opts }, CONFIG, steps);
  assert.deepEqual(asked, [steps.map(({ chainId }) => chainId)]);
  assert.equal(applied(), 2);
  assert.deepEqual(looked, [layer(0).digest, CONFIG.digest]);
  const marked = [0, 1, 2].map((n) => labels[layer(n).digest]?.['containerd.io/uncompressed']);
  assert.deepEqual(marked, diffs);
});

test('a wrong diff ID is DataLoss naming both, and leaves no snapshot and no label (H116)', async () => {
  const { snapshots, labels, deps, opts, steps } = setUp(() => digestOf('other'));
  await assert.rejects(unpackLayers({ ...deps, ...opts }, CONFIG, steps), (err) => {
    assert.ok(isKind(err, 'DataLoss'));
    const { message } = err as Error;
    assert.ok(
      message.includes(diffs[0] ?? '') && message.includes(digestOf('other')) && message.includes('layer 1'),
    );
    return true;
  });
  assert.deepEqual([...snapshots.active, ...snapshots.committed], []);
  assert.deepEqual(labels, {});
});

test('losing the race for a chain ID to another process is success', async () => {
  const { snapshots, deps, opts, steps } = setUp();
  snapshots.loseRace = true;
  await unpackLayers({ ...deps, ...opts }, CONFIG, steps);
  assert.deepEqual([...snapshots.active], []);
});

test('a chain ID that another commits before anything is applied is taken as it is', async () => {
  const { snapshots, labels, events, deps, opts, steps, applied } = setUp(
    (n) => diffs[n === 0 ? 0 : 2] ?? digestOf('?'),
  );
  const raced = steps[1]?.chainId ?? '';
  const prepare = async (key: string, parent: string) => {
    if (parent !== steps[0]?.chainId) return await snapshots.prepare(key, parent);
    snapshots.committed.add(raced);
    throw new HawserError('AlreadyExists', `target snapshot "${raced}": already exists`);
  };
  const snapshotter = Object.assign(Object.create(snapshots), { prepare }) as LayerSnapshotter;
  await unpackLayers({ ...deps, snapshotter, ...opts }, CONFIG, steps);
  assert.equal(applied(), 2);
  assert.equal(labels[layer(1).digest]?.['containerd.io/uncompressed'], diffs[1]);
  assert.ok(events.some((e) => e.type === 'layer' && e.index === 1 && e.status === 'exists'));
});

test('an applier that wants whole blobs gets no other', async () => {
  const { deps, opts, steps } = setUp();
  const here = new Set<string>();
  const applier: UnpackJob['applier'] = {
    needsBlob: true,
    apply: async (desc, snapshot, how) => {
      assert.ok(here.has(desc.digest), 'it is in the store');
      return await deps.applier.apply(desc, snapshot, how);
    },
  };
  const blob = ({ digest }: Descriptor) => ({
    started: { isReached: false, wait: () => assert.fail('it does not begin early') },
    verified: {
      isReached: here.has(digest),
      wait: async () => {
        await Promise.resolve();
        here.add(digest);
      },
    },
  });
  await unpackLayers({ ...deps, applier, ...opts, blob }, CONFIG, steps);
  assert.equal(here.size, 3);
});

/** A snapshotter that rebases; layer 0 is slow, so that the others are applied blind. */
function setUpBlind(how: { reason?: string; blindError?: HawserError; refusal?: HawserError } = {}) {
  const set = setUp();
  const { snapshots, deps, steps } = set;
  const log: string[] = [];
  const parents = new Map<string, string>();
  const name = (chain: string) => `${steps.findIndex((step) => step.chainId === chain)}`;
  let others = 0;
  let allBlind: () => void = () => {};
  const othersDone = new Promise<void>((resolve) => {
    allBlind = resolve;
  });
  const snapshotter = {
    name: 'overlayfs',
    stat: (key: string) => snapshots.stat(key),
    remove: (key: string) => snapshots.remove(key),
    prepare: async (key: string, parent: string) => {
      parents.set(key, parent);
      snapshots.active.add(key);
      return [];
    },
    rebases: async () => true,
    rebase: async (key: string, parent: string) => {
      assert.ok(snapshots.committed.has(parent), 'the parent is committed first');
      assert.equal(parents.get(key), '');
      log.push(`rebase on ${name(parent)}`);
      return how.reason;
    },
    commit: async (chain: string, key: string) => {
      if (how.refusal !== undefined && chain !== steps[0]?.chainId && parents.get(key) === '')
        throw how.refusal;
      log.push(`commit ${name(chain)}`);
      snapshots.committed.add(chain);
      snapshots.active.delete(key);
    },
  };
  const applier: UnpackJob['applier'] = {
    apply: async (desc, _mounts, opts) => {
      const index = Number(desc.size - LARGE);
      log.push(`apply ${index} ${opts?.below}`);
      if (index === 0) await othersDone;
      else if (++others === 2) allBlind();
      if (opts?.below === 'unknown' && how.blindError !== undefined) throw how.blindError;
      const record = opts?.below === 'unknown' ? { nodes: [], guesses: [] } : undefined;
      return { digest: diffs[index] ?? digestOf('?'), size: 1, warnings: [], record };
    },
  };
  const opts = { ...set.opts, settings: { jobs: 3 } };
  return {
    ...set,
    opts,
    log,
    deps: { ...deps, snapshotter: snapshotter as unknown as LayerSnapshotter, applier },
  };
}

const IN_ORDER = ['commit 0', 'apply 1 mounts', 'commit 1', 'apply 2 mounts', 'commit 2'];

test('layers are applied blind side by side, then rebased and committed in order', async () => {
  const { log, deps, opts, steps, snapshots } = setUpBlind();
  assert.equal(await unpackLayers({ ...deps, ...opts }, CONFIG, steps), steps[2]?.chainId);
  assert.deepEqual(log.slice(0, 3).sort(), ['apply 0 none', 'apply 1 unknown', 'apply 2 unknown']);
  assert.deepEqual(log.slice(3), ['commit 0', 'rebase on 0', 'commit 1', 'rebase on 1', 'commit 2']);
  assert.deepEqual([...snapshots.active], []);
});

test('the largest layer is begun first, of those that wait too', async () => {
  const { log, deps, opts, steps } = setUpBlind();
  assert.equal(
    await unpackLayers({ ...deps, ...opts, settings: { jobs: 1 } }, CONFIG, steps),
    steps[2]?.chainId,
  );
  assert.deepEqual(log.slice(0, 3), ['apply 2 unknown', 'apply 1 unknown', 'apply 0 none']);
});

test('steps and stages of a layer are told, with the chain ID that they belong to', async () => {
  const { events, deps, opts, steps } = setUpBlind();
  const times = { wait: 1, inflate: 2, apply: 3 };
  const apply: UnpackJob['applier']['apply'] = async (...args) => ({
    ...(await deps.applier.apply(...args)),
    entries: 4,
    times,
  });
  await unpackLayers({ ...deps, applier: { apply }, ...opts }, CONFIG, steps);
  const told = (index: number) =>
    events.flatMap((e) =>
      (e.type === 'span' || e.type === 'stages') && e.chainId === steps[index]?.chainId ? [e] : [],
    );
  const names = (index: number) => told(index).map((e) => (e.type === 'span' ? e.stage : e.type));
  assert.deepEqual(names(0), ['stages', 'commit']);
  assert.deepEqual(names(2), ['stages', 'wait', 'rebase', 'commit']);
  const [stages] = told(2);
  assert.deepEqual(stages, {
    type: 'stages',
    desc: layer(2),
    chainId: steps[2]?.chainId,
    size: 1,
    entries: 4,
    times,
  });
});

test('what cannot be rebased is applied again in order', async () => {
  const { log, deps, opts, steps, snapshots } = setUpBlind({ reason: 'a symbolic link' });
  await unpackLayers({ ...deps, ...opts }, CONFIG, steps);
  assert.deepEqual(
    log.slice(3).filter((line) => !line.startsWith('rebase')),
    IN_ORDER,
  );
  assert.deepEqual([...snapshots.active], []);
});

test('a layer that needs those below, or is refused, is applied again in order', async () => {
  for (const blindError of [needsBelow('a hard link'), new HawserError('InvalidArgument', 'bad entry')]) {
    const { log, deps, opts, steps, snapshots } = setUpBlind({ blindError });
    await unpackLayers({ ...deps, ...opts }, CONFIG, steps);
    assert.deepEqual(log.slice(3), IN_ORDER);
    assert.deepEqual([...snapshots.active], []);
  }
});

test('a commit over a parent that is refused has the layer applied again in order; another failure stops all', async () => {
  const { log, deps, opts, steps, snapshots } = setUpBlind({ refusal: needsBelow('no such field') });
  await unpackLayers({ ...deps, ...opts }, CONFIG, steps);
  assert.deepEqual(
    log.slice(3).filter((line) => !line.startsWith('rebase')),
    IN_ORDER,
  );
  assert.deepEqual([...snapshots.active], []);
  const failing = setUpBlind({ refusal: new HawserError('NotFound', 'no such parent') });
  await assert.rejects(unpackLayers({ ...failing.deps, ...failing.opts }, CONFIG, steps), /no such parent/);
  assert.deepEqual([...failing.snapshots.active], []);
});

test('any other failure of a blind layer stops all, and leaves no active snapshot (H117)', async () => {
  const { deps, opts, steps, snapshots } = setUpBlind({ blindError: new HawserError('DataLoss', 'torn') });
  await assert.rejects(unpackLayers({ ...deps, ...opts }, CONFIG, steps), /Cannot extract layer [23] .*torn/);
  assert.deepEqual([...snapshots.active], []);
});

/** Blobs that are still arriving. */
function arriving(how: { verified: boolean }) {
  const set = setUp();
  const here = new Set<string>();
  const log: string[] = [];
  const opts = {
    ...set.opts,
    settings: { jobs: 1 },
    blob: (desc: Descriptor) => ({
      started: reached(),
      verified: {
        isReached: here.has(desc.digest),
        wait: async () => {
          if (!how.verified) throw new HawserError('DataLoss', 'unexpected commit digest');
          here.add(desc.digest);
        },
      },
    }),
  };
  return { ...set, opts, here, log };
}

test('what was applied before its blob is verified is committed only after', async () => {
  const { snapshots, deps, opts, steps, here } = arriving({ verified: true });
  const commit = snapshots.commit.bind(snapshots);
  snapshots.commit = async (name, key) => {
    assert.ok(here.has(steps.find((step) => step.chainId === name)?.layer.digest ?? ''));
    await commit(name, key);
  };
  await unpackLayers({ ...deps, ...opts }, CONFIG, steps);
  assert.equal(snapshots.committed.size, 3);
  assert.deepEqual([...snapshots.active], []);
});

test('a layer that failed on bytes not yet verified is applied again to the verified blob', async () => {
  const { snapshots, deps, opts, steps } = arriving({ verified: true });
  let tries = 0;
  const apply: UnpackJob['applier']['apply'] = async (desc) => {
    if (tries++ === 0) throw new HawserError('Aborted', 'the blob is being fetched anew');
    return { digest: diffs[desc.size - LARGE] ?? digestOf('?'), size: 1, warnings: [], record: undefined };
  };
  await unpackLayers({ ...deps, applier: { apply }, ...opts }, CONFIG, steps);
  assert.equal(tries, 4);
  assert.equal(snapshots.committed.size, 3);
  assert.deepEqual([...snapshots.active], []);
});

test('a small layer is not begun before its blob is verified', async () => {
  const { deps, opts, steps, here } = arriving({ verified: true });
  const early: string[] = [];
  const apply: UnpackJob['applier']['apply'] = async (desc) => {
    if (!here.has(desc.digest)) early.push(desc.digest);
    return { digest: diffs[desc.size] ?? digestOf('?'), size: 1, warnings: [], record: undefined };
  };
  const small = steps.map((step) => ({
    ...step,
    layer: { ...step.layer, size: step.layer.size - LARGE },
  }));
  await unpackLayers({ ...deps, applier: { apply }, ...opts }, CONFIG, small);
  assert.deepEqual(early, []);
});

test('when the blob cannot be had, that is what is said, and nothing is committed', async () => {
  const { snapshots, deps, opts, steps } = arriving({ verified: false });
  await assert.rejects(unpackLayers({ ...deps, ...opts }, CONFIG, steps), /unexpected commit digest/);
  assert.deepEqual([...snapshots.active, ...snapshots.committed], []);
});

test('the failure of one layer is no misfit of the others: their bytes are not doubted, their blobs not hashed', async () => {
  const wrong = new HawserError('DataLoss', 'wrong diff id');
  for (const verified of [true, false]) {
    const { deps, opts, steps } = setUp();
    const asked: string[] = [];
    const apply: UnpackJob['applier']['apply'] = async (desc, _, how) => {
      if (desc.size === LARGE) throw wrong;
      return await orAborted(new Promise<never>(() => {}), how?.signal);
    };
    const content = { ...deps.content, verify: async (digest: Digest) => asked.push(digest) > 0 };
    const doubt = async () => asked.push('doubt') < 0;
    const blob = ({ size }: Descriptor) => {
      const arrives = { isReached: false, wait: (signal: AbortSignal) => new Milestone().wait(signal) };
      return size === LARGE || verified
        ? { started: reached(), verified: reached() }
        : { started: reached(), verified: arrives, doubt };
    };
    const parts = { ...deps, content, applier: { apply }, snapshotter: rebasing(deps.snapshotter) };
    const work = unpackLayers({ ...parts, ...opts, settings: { jobs: 3 }, blob }, CONFIG, steps);
    await assert.rejects(work, /layer 1 .*wrong diff id/);
    assert.deepEqual(asked, [layer(0).digest]);
  }
});

/** Layers do not wait for their parents. */
function rebasing(snapshotter: LayerSnapshotter): LayerSnapshotter {
  return Object.assign(Object.create(snapshotter), { rebases: async () => true }) as LayerSnapshotter;
}

/** Another process extracts the first layer for so many looks; `then`: what it leaves. */
function besideOther(looks: number, then: 'committed' | 'nothing', stopped = false) {
  const world = setUp((n) => diffs[then === 'committed' ? n + 1 : n] ?? digestOf('?'));
  const { snapshots, steps } = world;
  const first = steps[0]?.chainId ?? '';
  let left = looks;
  const prepare = snapshots.prepare.bind(snapshots);
  const asked: boolean[] = [];
  Object.assign(snapshots, {
    prepare: async (key: string, parent: string, opts: { beside?: boolean }) => {
      if (key.endsWith(first)) asked.push(opts.beside === true);
      if (key.endsWith(first) && left > 0 && opts.beside !== true)
        throw new HawserError('Unavailable', 'another', { reason: { type: 'busy' } });
      return await prepare(key, parent);
    },
    extraction: async () => {
      if (left > 0 && --left > 0) return { beat: stopped ? 'same' : String(left), offset: 100 - left };
      if (then === 'committed') snapshots.committed.add(first);
      return undefined;
    },
  });
  return { ...world, asked };
}

test('a layer that another process extracts is followed, and counts as there', async () => {
  const { events, deps, opts, steps, applied } = besideOther(5, 'committed');
  await unpackLayers({ ...deps, ...opts }, CONFIG, steps);
  assert.equal(applied(), 2);
  const told = events.flatMap((e) => (e.type === 'layer' && e.index === 0 ? [[e.status, e.offset]] : []));
  const following = [96, 97, 98, 99].map((offset) => ['extracting', offset]);
  assert.deepEqual(told, [...following, ['exists', layer(0).size]]);
});

test('an extraction that another process gave up is taken over', async () => {
  const { asked, deps, opts, steps, applied } = besideOther(5, 'nothing');
  await unpackLayers({ ...deps, ...opts }, CONFIG, steps);
  assert.equal(applied(), 3);
  assert.deepEqual(asked, [false, false]);
});

test('beside a process that has stopped a layer is extracted after the stall limit, and the user is told', async () => {
  const { asked, events, deps, opts, steps, applied } = besideOther(
    Number.POSITIVE_INFINITY,
    'nothing',
    true,
  );
  let now = 0;
  const sleep = async (): Promise<void> => {
    now += 1000;
  };
  const clock = { now: () => 5, monotonic: () => now, sleep };
  await unpackLayers({ ...deps, ...opts, clock, stall: 20_000 }, CONFIG, steps);
  assert.equal(applied(), 3);
  assert.deepEqual(asked, [false, true]);
  assert.ok(now >= 20_000 && now < 25_000, `${now} ms`);
  const told = events.filter((event) => event.type === 'waiting');
  assert.deepEqual(
    told.map(({ milliseconds }) => milliseconds),
    [15_000],
  );
});
