/**
 * Pulls of an image with five layers while its registry fails by chance. `HAWSER_SEED=n` repeats a run; HAWSER_PULLS=n says
 * how many. Waits between tries are shortened; the limits of time are real.
 */
import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { type HawserError, isKind } from '../../src/core/errors.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import { openStore, pull, type Store } from '../../src/mod.ts';
import { randomFaults, seeded } from '../registry/chaos.ts';
import type { Fault } from '../registry/faults.ts';
import { buildImage, noise, type TestImage } from '../registry/image.ts';
import { type LoggedRequest, startRegistry, type TestRegistry } from '../registry/registry.ts';
import { altered, runtimeOf } from '../support/bench.ts';
import { isDeno, needs } from '../support/needs.ts';
import { chosenSeed } from '../support/seed.ts';
import { viewMounts } from '../support/snapshot-mounts.ts';
import { tempDir } from '../support/tmp.ts';

const SEED = chosenSeed() % 1_000_000;
/** Most of them on the runtime that the executable has. */
const PULLS = Number(process.env.HAWSER_PULLS ?? (isDeno || process.version.startsWith('v22.') ? 10 : 80));
const AT_ONCE = 16;
/** Bytes of the layer that a worker unpacks while it arrives (small-layer.ts). */
const LARGE = 300_000;
const TIMEOUTS = { connect: 2000, headers: 1000, stall: 300 };
/** Milliseconds: far beyond what tries and limits add up to. */
const BOUND = 60_000;
/** What a lost connection may lose of what was sent: what a server hands over at a time. */
const CHUNK = 65_536;

interface Case {
  readonly nth: number;
  readonly title: string;
  readonly faults: readonly Fault[];
  readonly image: TestImage;
  /** Path to content. */
  readonly tree: Readonly<Record<string, string>>;
}

/** Five layers of their own for each pull: nothing of it is in the store already. */
async function makeCase(nth: number, heal: boolean): Promise<Case> {
  const random = seeded(SEED * 1000 + nth);
  const tree: Record<string, string> = {};
  const layers = Array.from({ length: 5 }, (_, layer) => {
    const size = layer === 2 ? LARGE : 1000 + Math.floor(random() * 20_000);
    const data = noise(size, SEED + nth * 10 + layer + 1);
    tree[`layer${layer}`] = Buffer.from(data).toString('latin1');
    tree.last = `${nth} ${layer}`;
    return {
      entries: [
        { name: `layer${layer}`, data },
        { name: 'last', data: tree.last },
      ],
    };
  });
  const image = await buildImage({ layers });
  const faults = randomFaults(random, { size: LARGE, heal });
  const title = `pull ${nth} of seed ${SEED}: ${JSON.stringify(faults)}`;
  return { nth, title, faults, image, tree };
}

/** Waits between tries take a fiftieth of their time. */
function hurried(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    sleep: (ms, signal) => clock.sleep(ms / 50, signal),
  };
}

async function attempt(store: Store, { nth, image, faults }: Case, tries: number) {
  const registry = await startRegistry({ faults });
  try {
    const ref = registry.push(`t/chaos${nth}`, 'x', image);
    const signal = AbortSignal.timeout(BOUND);
    const options = {
      store,
      signal,
      timeouts: TIMEOUTS,
      retry: { tries },
      snapshotter: 'native',
      platforms: 'all' as const,
    };
    const outcome = await pull(ref, options).catch((err: unknown) => err);
    return { ref, registry, outcome };
  } finally {
    await registry.close();
  }
}

async function treeOf(store: Store, chainId: string): Promise<Record<string, string>> {
  const key = `look ${chainId}`;
  const snapshotter = store.snapshotter('native');
  const [mount] = await viewMounts(snapshotter, key, chainId);
  const dir = mount?.source ?? '';
  const files = readdirSync(dir).filter((name) => lstatSync(join(dir, name)).isFile());
  const found = Object.fromEntries(files.map((name) => [name, readFileSync(join(dir, name), 'latin1')]));
  await snapshotter.remove(key);
  return found;
}

async function assertPulled(store: Store, one: Case, outcome: unknown): Promise<void> {
  if (outcome instanceof Error) throw new Error(`${one.title}: ${outcome.message}`, { cause: outcome });
  const { unpacked } = outcome as Awaited<ReturnType<typeof pull>>;
  assert.deepEqual(await treeOf(store, unpacked[0]?.chainId ?? ''), one.tree, one.title);
}

/** Bytes of bodies, and those of them that were lost at most: a reset takes all that the system has not handed over. */
function traffic({ requests }: TestRegistry, { image, faults }: Case): { sent: number; lost: number } {
  const resets = faults.some(({ reset, cutAfter }) => reset === true && cutAfter !== undefined);
  const lossOf = ({ method, path, range, status, sent }: LoggedRequest): number => {
    if (method !== 'GET' || (status !== 200 && status !== 206) || !path.includes('/blobs/')) return 0;
    const start = Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);
    const size = image.blobs.get(path.split('/').at(-1) ?? '')?.length ?? 0;
    if (sent >= size - start) return 0;
    return resets ? sent : CHUNK;
  };
  const sum = (of: (request: LoggedRequest) => number) => requests.reduce((total, one) => total + of(one), 0);
  return { sent: sum(({ sent }) => sent), lost: sum(lossOf) };
}

function sizeOf(image: TestImage): number {
  return [...image.blobs.values(), image.root.bytes].reduce((sum, bytes) => sum + bytes.length, 0);
}

/** What an error may say of a fault. */
function wordsFor(fault: Fault): RegExp {
  const words: string[] = [];
  if (fault.status === 404) words.push('not found');
  else if (fault.status !== undefined) words.push(`\\b${fault.status}\\b`);
  if (fault.reset === true) words.push('reset', 'closed', 'aborted', 'ended after');
  if (fault.cutAfter !== undefined) words.push('reset', 'closed', 'aborted', 'ended after', 'only \\d+ of');
  if (fault.stall !== undefined) words.push('stalled');
  if (fault.corrupt !== undefined)
    words.push('digest', 'content is', 'cannot be right', 'JSON', 'UTF-8', 'neither a manifest');
  if (fault.short !== undefined) words.push('only \\d+ of', 'ended after');
  if (fault.overlong !== undefined) words.push('longer');
  if (fault.contentEncoding !== undefined) words.push('encoding');
  // Wrong bytes under a right header: the layer's reader may find that out before the digest does.
  return new RegExp(words.length > 0 ? words.join('|') : 'digest|not what it was|cannot be right');
}

/** Runs `work` for 0 to `count` - 1, some at once. */
async function each(count: number, work: (nth: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let nth = next++; nth < count; nth = next++) await work(nth);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

async function withHurriedStore(body: (store: Store) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const store = await openStore({ root: join(dir.path, 'root') });
  try {
    const runtime = runtimeOf(store);
    await body(altered(store, {}, { ...runtime, clock: hurried(runtime.clock) }));
  } finally {
    await store[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  }
}

const skip = needs({ root: true });

test(`chaos: faults that heal: every pull succeeds, and hardly a byte is sent twice (seed ${SEED})`, {
  skip,
}, async () => {
  await withHurriedStore(async (store) => {
    await each(Math.ceil(PULLS / 2), async (nth) => {
      const one = await makeCase(nth, true);
      const { outcome, registry } = await attempt(store, one, 10);
      await assertPulled(store, one, outcome);
      const { sent, lost } = traffic(registry, one);
      const most = 1.05 * sizeOf(one.image) + lost;
      assert.ok(sent <= most, `${sent} bytes sent, at most ${most} expected; ${one.title}`);
    });
    assert.deepEqual(await store.leases.list(), []);
  });
});

test(`chaos: faults of all kinds: the right tree, or an error that names one of them (seed ${SEED})`, {
  skip,
}, async () => {
  await withHurriedStore(async (store) => {
    let failures = 0;
    await each(Math.floor(PULLS / 2), async (half) => {
      const one = await makeCase(1000 + half, false);
      const { outcome, ref } = await attempt(store, one, 2);
      if (!(outcome instanceof Error)) return await assertPulled(store, one, outcome);
      failures++;
      const told = `${one.title}: ${outcome.message}`;
      const kind = (outcome as HawserError).kind;
      assert.match(
        kind ?? 'none',
        /^(Unavailable|DeadlineExceeded|DataLoss|NotFound|InvalidArgument)$/,
        told,
      );
      assert.ok(
        one.faults.some((fault) => wordsFor(fault).test(outcome.message)),
        told,
      );
      await assert.rejects(store.images.get(ref), (err) => isKind(err, 'NotFound'), told);
    });
    assert.ok(PULLS < 20 || failures > 0, 'some faults cannot be got over');
  });
});
