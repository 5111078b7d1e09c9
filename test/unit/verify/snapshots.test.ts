/** What is read to compare many images over one base, in one go and in parts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend } from '../../../src/core/backend.ts';
import type { Info } from '../../../src/core/content/content-store.ts';
import type { StoredLayer } from '../../../src/core/layers/layer-checker.ts';
import { type Digest, parseDigest } from '../../../src/core/oci/digest.ts';
import type { KnownLayer } from '../../../src/core/verify/images.ts';
import { checkSnapshots } from '../../../src/core/verify/snapshots.ts';

const COUNT = 3000;
const BASE = 30_000_000;

function digest(n: number): Digest {
  return parseDigest(`sha256:${n.toString(16).padStart(64, '0')}`);
}

/** A base, COUNT layers on it, and one on each of those. */
function world() {
  const layers = new Map<string, KnownLayer>();
  const records = new Map<Digest, Info>();
  const add = (n: number, parent: string, size: number): void => {
    const [chainId, layer] = [digest(n), { mediaType: 'x', digest: digest(n + (1 << 20)), size }];
    layers.set(chainId, { step: { index: 0, layer, diffId: chainId, parent, chainId }, images: new Set() });
    records.set(layer.digest, { digest: layer.digest, size, createdAt: 0, updatedAt: 0, labels: {} });
  };
  add(1, '', BASE);
  for (let n = 0; n < COUNT; n++) {
    add(2 + n, digest(1), 100_000);
    add(2 + COUNT + n, digest(2 + n), 10_000);
  }
  const infos = [...layers].map(([name, { step }]) => ({ name, parent: step.parent, kind: 'Committed' }));
  const backend = { snapshotter: () => ({ list: async () => infos }) } as unknown as Backend;
  const jobs: (readonly StoredLayer[])[] = [];
  const checker = {
    check: async (_: string, list: readonly StoredLayer[]) => {
      jobs.push(list);
      return list.map(() => ({ problems: [], more: 0, error: null }));
    },
  };
  return { deps: { backend, checker, cpus: 4, records, layers }, jobs };
}

async function check(sound: Set<string> | undefined) {
  const { deps, jobs } = world();
  const add = async (thing: string): Promise<void> => void sound?.add(thing);
  const result = await checkSnapshots(deps, {
    snapshotter: 's',
    wanted: () => true,
    onBytes: () => {},
    sound: sound && { has: (thing) => sound.has(thing), add },
  });
  const listed = jobs.flat();
  for (const job of jobs) {
    for (const [at, { chainId, parent }] of job.entries()) {
      const below = job[parent]?.chainId ?? '';
      assert.equal(deps.layers.get(chainId)?.step.parent, below);
      assert.ok(parent < at);
    }
  }
  return {
    ...result,
    jobs: jobs.length,
    bytes: listed.reduce((sum, { layer }) => sum + layer.size, 0),
    compared: listed.filter(({ compare }) => compare).map(({ chainId }) => chainId),
  };
}

const WHOLE = BASE + COUNT * 110_000;

test('in one go each layer is read once', async () => {
  const { jobs, bytes, compared } = await check(undefined);
  assert.deepEqual([jobs, bytes, new Set(compared).size], [1, WHOLE, 2 * COUNT + 1]);
});

test('in parts the base is read again for a fraction of all bytes, and what is sound is not read', async () => {
  const sound = new Set<string>();
  const first = await check(sound);
  assert.equal(first.compared.length, 2 * COUNT + 1);
  assert.equal(new Set(first.compared).size, 2 * COUNT + 1);
  assert.ok(first.jobs > 1 && first.bytes < 1.5 * WHOLE, `${first.jobs} parts, ${first.bytes} bytes`);
  assert.equal(sound.size, 2 * COUNT + 1);
  const left = [digest(5), digest(2 + COUNT + 9)];
  for (const name of left) sound.delete(`s ${name}`);
  const again = await check(sound);
  assert.deepEqual([again.jobs, again.compared.sort(), again.resumed], [1, left, 2 * COUNT - 1]);
  assert.equal(again.bytes, BASE + 100_000 + 110_000, 'only these, and what they lie on');
});
