/** Images that cannot fit on the disk: refused with numbers before a layer comes; a disk that is full all the same is given back. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Space } from '../../src/core/backend.ts';
import { hintOf, kindOf } from '../../src/core/errors.ts';
import { asStore, partsOf } from '../../src/entry/stores.ts';
import { fetch, openStore, type ProgressEvent, pull, type Store } from '../../src/mod.ts';
import { buildImage, buildIndex, type TestImage } from '../registry/image.ts';
import { altered, rejectsWith, runtimeOf, withBench } from '../support/bench.ts';
import { failure } from '../support/failure.ts';
import { needs } from '../support/needs.ts';
import { noise } from '../support/small-image.ts';

const ROOT = { skip: needs({ root: true }) };
const MIB = 2 ** 20;

const layer = (n: number) => ({ entries: [{ name: `${n}`, data: noise(n, MIB) }] });
const two: Promise<TestImage> = buildImage({ layers: [layer(1), layer(2)] });

/** `free` MiB, less what the store has got meanwhile. */
function withSpace(store: Store, free: number, total = 100 * MIB): Store {
  const stored = async () => {
    const arriving = (await store.content.listStatuses()).map(({ offset }) => offset);
    const sizes = (await store.content.list()).map(({ size }) => size);
    return [...arriving, ...sizes].reduce((sum, one) => sum + one, 0);
  };
  const before = stored();
  const space = async (): Promise<Space> => ({ free: free * MIB - (await stored()) + (await before), total });
  return altered(store, { space });
}

test(
  'an image that cannot fit is refused with the numbers before a layer is asked for; force lifts it',
  ROOT,
  async () => {
    const image = await two;
    await withBench(async ({ store, registry }) => {
      const ref = registry.push('a/b', 'v1', image);
      for (const [verb, free, says] of [
        [fetch, 1.9, /takes at least 3 MiB to fetch, and 2 MiB are free/],
        [pull, 3.9, /takes at least 5 MiB to fetch and unpack, and 4 MiB are free/],
      ] as const) {
        const err = await failure(verb(ref, { store: withSpace(store, free) }));
        assert.equal(kindOf(err), 'ResourceExhausted');
        assert.match(err.message, says);
        assert.match(hintOf(err) ?? '', /; force \(of/);
        for (const { digest } of image.layers) assert.equal(registry.traffic(digest).requests, 0);
        assert.deepEqual(await store.images.list(), []);
      }
      await fetch(ref, { store: withSpace(store, 1), force: true });
      await pull(ref, { store: withSpace(store, 0) });
    });
  },
);

test('what is in the store, and what an interrupted pull has left, is not counted', ROOT, async () => {
  const image = await two;
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/b', 'v1', image);
    const second = image.layers[1]?.digest ?? '';
    await fetch(registry.push('a/b', 'v0', await buildImage({ layers: [layer(1)] })), { store });
    registry.faults.push({ match: second, cutAfter: MIB / 2, times: 1 }, { match: second, status: 404 });
    await assert.rejects(fetch(ref, { store }));
    registry.faults.length = 0;
    await rejectsWith('ResourceExhausted', /cannot fit/, fetch(ref, { store: withSpace(store, 0.3) }));
    await fetch(ref, { store: withSpace(store, 0.8) });
  });
});

test('the platforms of one pull are counted together', ROOT, async () => {
  const images = await Promise.all(
    ['amd64', 'arm64'].map((architecture, n) =>
      buildImage({ layers: [layer(n)], platform: { os: 'linux', architecture } }),
    ),
  );
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/b', 'v1', buildIndex(images));
    await rejectsWith(
      'ResourceExhausted',
      /cannot fit/,
      fetch(ref, { store: withSpace(store, 1.5), platforms: 'all' }),
    );
    await fetch(ref, { store: withSpace(store, 1.5), platforms: ['linux/amd64'] });
  });
});

test(
  'a size that the whole disk has not is refused, forced or not; where the space is not known nothing is',
  ROOT,
  async () => {
    const image = await two;
    const [one] = image.layers;
    const manifest = { layers: [{ ...one, size: 2 ** 52 }] };
    const endless = await buildImage({ layers: [layer(1)], manifest });
    await withBench(async ({ store, registry }) => {
      const ref = registry.push('a/endless', 'v1', endless);
      for (const force of [false, true]) {
        await rejectsWith(
          'ResourceExhausted',
          /the whole disk of the store has/,
          fetch(ref, { store, force }),
        );
      }
      assert.equal(registry.traffic(one?.digest).requests, 0);
      const { space: _, ...unknown } = partsOf(store).backend;
      assert.doesNotMatch(
        (await failure(fetch(ref, { store: asStore(unknown, runtimeOf(store)), retry: { time: 0 } })))
          .message,
        /disk/,
      );
    });
  },
);

test('an image that will hardly fit is begun, with one warning', ROOT, async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/b', 'v1', await two);
    const events: ProgressEvent[] = [];
    await pull(ref, { store: withSpace(store, 5), onProgress: (event) => events.push(event) });
    const warnings = events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /will hardly fit: it takes about 8 MiB, and 5 MiB are free/);
  });
});

test('a disk that is full all the same gets back what cannot fit', {
  skip: needs({ root: true, tools: ['mount', 'umount'] }),
}, async () => {
  await withBench(async ({ store, registry }) => {
    const disk = join(store.root, '../disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', disk]);
    const small = await openStore({ root: join(disk, 'store') });
    try {
      const free = () => statfsSync(disk).bavail * statfsSync(disk).bsize;
      await pull(registry.push('a/b', 'v1', await two), { store: small });
      const before = free();
      const large = await buildImage({ layers: [{ entries: [{ name: 'a', data: noise(3, 9 * MIB) }] }] });
      const ref = registry.push('a/large', 'v1', large);
      await rejectsWith('ResourceExhausted', /cannot fit/, fetch(ref, { store: small }));
      await rejectsWith('ResourceExhausted', /ENOSPC|no space/i, fetch(ref, { store: small, force: true }));
      assert.ok(free() > before - MIB, `${free()} of ${before} bytes are free`);
    } finally {
      await small[Symbol.asyncDispose]();
      execFileSync('umount', ['-l', disk]);
    }
  });
});
