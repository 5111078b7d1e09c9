/**
 * A storm over one store: pulls that are killed at random moments, three at a time, with gc, prune, rm, tag, verify, repair and df beside
 * them. Afterwards nothing is damaged, df explains every byte, no complete blob is fetched again, and all can be removed.
 * HAWSER_STORM says how many pulls (default 20), HAWSER_SEED repeats the choices.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { seeded } from '../registry/chaos.ts';
import { buildImage, type TestEntry } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { execOk } from '../support/exec.ts';
import { flavour, type Hawser, hawser } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { scratch } from '../support/scratch.ts';
import { chosenSeed } from '../support/seed.ts';
import { noise } from '../support/small-image.ts';
import { bytesInStore } from '../support/store-bytes.ts';
import { readStore } from '../support/store-reader.ts';
import { NAMESPACES, Storm } from '../support/storm.ts';

const PULLS = Number(process.env.HAWSER_STORM ?? 20);
/** Bytes a second of half of the blobs: so that kills strike downloads, too. */
const SLOW = 1_500_000;
/** Bytes that the command itself has in the store while it looks: its lock, the database's log and index. */
const OWN_FILES = 1 << 16;

const binary = flavour('binary');

function files(dir: string, count: number, bytes: number): TestEntry[] {
  return Array.from({ length: count }, (_, n) => ({ name: `${dir}/${n}`, data: noise(n + bytes, bytes) }));
}

/** Four names of images that share their lowest layer. */
async function pushImages(registry: TestRegistry): Promise<string[]> {
  const base = { entries: files('base', 60, 4000) };
  const second = {
    entries: [
      { name: 'base/.wh.7', data: '' },
      { name: 'own', data: noise(7, 300_000) },
      { name: 'link', type: 'link' as const, linkname: 'own' },
    ],
    compression: 'zstd' as const,
  };
  const image = (own: object) => buildImage({ layers: [base, own] });
  return [
    registry.push('t/a', '1', await image({ entries: files('a', 4, 150_000) })),
    registry.push('t/b', '1', await image(second)),
    registry.push('t/b', '2', await image({ entries: files('b', 10, 20_000) })),
    registry.push(
      't/c',
      '1',
      await buildImage({ layers: [base, second, { entries: files('c', 30, 5000) }] }),
    ),
  ];
}

describe('a storm', { skip: binary.skip || needs({ root: true }) }, () => {
  let registry: TestRegistry;
  let refs: readonly string[];
  const seed = chosenSeed();
  const random = seeded(seed);

  before(async () => {
    console.log(`seed: HAWSER_SEED=${seed}`);
    registry = await startRegistry();
    refs = await pushImages(registry);
    registry.faults.push({ match: '/blobs/', method: 'GET', rate: SLOW, when: () => random() < 0.5 });
  });
  after(() => registry[Symbol.asyncDispose]());

  const inAll = async (store: Hawser, ...line: string[]): Promise<string[]> => {
    const outputs: string[] = [];
    for (const name of NAMESPACES) outputs.push((await store.ok('--namespace', name, ...line)).stdout);
    return outputs;
  };

  async function pullTime(): Promise<number> {
    await using dir = scratch();
    const store = hawser(binary, dir.path);
    const began = performance.now();
    for (const ref of refs) await store.ok('pull', ref);
    return (performance.now() - began) / refs.length;
  }

  test(`${PULLS} pulls that are killed, and all else beside them`, async () => {
    await using dir = scratch();
    const root = join(dir.path, 'store');
    const store = hawser(binary, root);
    const time = await pullTime();
    const storm = new Storm({ flavour: binary, root, registry, refs, random, pullTime: time });
    await storm.run(PULLS);
    const counts = [...storm.counts].map(([what, count]) => `${count} ${what}`).join(', ');
    console.log(`${counts}; ${storm.kills} kills; a pull takes ${Math.round(time)} ms`);
    assert.deepEqual(storm.wrong, [], `HAWSER_SEED=${seed}`);

    for (const verdict of await inAll(store, 'images', 'verify', '--json'))
      assert.deepEqual(JSON.parse(verdict).damage, [], `HAWSER_SEED=${seed}`);
    await explained(store);

    const complete = new Set(readdirSync(join(root, 'content/blobs/sha256')).map((hex) => `sha256:${hex}`));
    registry.requests.length = 0;
    for (const ref of refs) await inAll(store, 'pull', '--progress', 'none', ref);
    const again = registry.requests.filter(
      ({ method, path }) => method === 'GET' && complete.has(/sha256:[0-9a-f]{64}/.exec(path)?.[0] ?? ''),
    );
    assert.deepEqual(again, [], `HAWSER_SEED=${seed}: complete blobs are fetched again`);
    for (const text of await inAll(store, 'images', 'verify', '--json')) {
      const { damage } = JSON.parse(text);
      assert.deepEqual(damage, []);
    }
    await store.ok('gc');
    await explained(store);
    const { lies, leftovers } = readStore(root, new Map());
    assert.deepEqual([lies, leftovers], [[], []], `HAWSER_SEED=${seed}`);

    await inAll(store, 'images', 'prune', '--all');
    const { content, snapshots, partial, strays } = JSON.parse((await store.ok('df', '--json')).stdout);
    const counted = [content, snapshots, partial, strays].map(({ count }) => count);
    assert.deepEqual(counted, [0, 0, 0, 0], `HAWSER_SEED=${seed}: all can be removed`);
  });
});

/** df has every byte of the store. What du says beyond are directories, and the ends of files that do not fill a block. */
async function explained(store: Hawser): Promise<void> {
  const { unknown, least, most, blocks, overhead } = bytesInStore(store.root);
  const { content, snapshots, partial, strays, records, total } = JSON.parse(
    (await store.ok('df', '--json')).stdout,
  );
  assert.deepEqual(unknown, []);
  assert.equal(total, content.bytes + snapshots.bytes + partial.bytes + strays.bytes + records);
  assert.ok(total >= least && total <= most + OWN_FILES, `df ${total}, files ${least} to ${most}`);
  assert.ok(Math.abs(blocks - total) <= overhead + OWN_FILES, `du ${blocks}, df ${total}, ${overhead}`);
  const du = Number((await execOk('du', ['-s', '-B1', store.root])).stdout.split('\t')[0]);
  assert.equal(du, blocks);
}
