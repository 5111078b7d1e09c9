/** Every stream and every iteration that the library hands out ends at once when its reader wants no more: the download with its connections, too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as library from '../../src/mod.ts';
import * as web from '../../src/web.ts';
import { buildImage, noise } from '../registry/image.ts';
import type { TestRegistry } from '../registry/registry.ts';
import { rejectsWith, withBench } from '../support/bench.ts';

const MIB = 1 << 20;
/** More than is kept in memory of layers that are read twice. */
const LARGE = 17 * MIB;
const image = await buildImage({
  layers: [{ entries: [{ name: 'large', data: noise(LARGE) }], compression: 'none' }],
});
const small = await buildImage({ layers: [{ entries: [{ name: 'small', data: noise(100_000) }] }] });
const digest = library.parseDigest(image.layers[0]?.digest ?? '');
/** Milliseconds, with room for a machine that has other work. Without an end the stalled download ends after half a minute. */
const MOST = 1000;

/** Layers stop to come after 64 KiB. */
function stall({ faults }: TestRegistry): void {
  faults.push({ match: '/blobs/', method: 'GET', stall: 1 << 16 });
}

type Face = Pick<typeof library, 'files' | 'open'>;
/** Starts something, and returns how its reader leaves, and what of it is still waited for. */
type Case = (face: Face, ref: string, registry: TestRegistry) => Promise<() => Promise<unknown>>;

async function firstFile(iteration: AsyncGenerator<library.ImageFile>): Promise<library.ImageFile> {
  const { value } = await iteration.next();
  assert.ok(value);
  return value;
}

const CASES: Readonly<Record<string, Case>> = {
  'open of a blob, between reads': async ({ open }, ref, registry) => {
    stall(registry);
    const reader = (await open(ref, digest)).getReader();
    await reader.read();
    return () => reader.cancel();
  },
  'open of a blob, in a read': async ({ open }, ref, registry) => {
    stall(registry);
    const reader = (await open(ref, digest)).getReader();
    const all = readAll(reader);
    await pause();
    return () => Promise.all([reader.cancel('enough'), all]);
  },
  'open of a blob that nobody reads': async ({ open }, ref, registry) => {
    stall(registry);
    const stream = await open(ref, digest);
    return () => stream.cancel();
  },
  'open of a file, in a read': async ({ open }, ref, registry) => {
    const reader = (await open(ref, '/large')).getReader();
    stall(registry);
    const all = readAll(reader);
    await pause();
    return () => Promise.all([reader.cancel('enough'), all]);
  },
  'open of a file that nobody reads': async ({ open }, _, registry) => {
    const stream = await open(registry.push('a/s', 'v1', small), '/small');
    return () => stream.cancel();
  },
  'files, while the layers are read': async ({ files }, ref, registry) => {
    stall(registry);
    const iteration = files(ref);
    const first = iteration.next();
    await pause();
    return async () => {
      await iteration.return(undefined);
      assert.deepEqual(await first, { done: true, value: undefined });
    };
  },
  'files, between two entries': async ({ files }, _, registry) => {
    const iteration = files(registry.push('a/s', 'v1', small));
    await firstFile(iteration);
    return () => iteration.return(undefined);
  },
  'files of files, in reads: one is cancelled, one is left with the iteration': async (
    { files },
    ref,
    registry,
  ) => {
    const iteration = files(ref);
    const file = await firstFile(iteration);
    stall(registry);
    const [one, other] = [file.content().getReader(), file.content().getReader()];
    const all = [readAll(one), rejectsWith('Canceled', /iteration has ended/, readAll(other))];
    await pause();
    return async () => {
      await Promise.all([one.cancel('enough'), all[0]]);
      await Promise.all([iteration.return(undefined), all[1]]);
      assert.throws(
        () => file.content(),
        (err) => library.isKind(err, 'FailedPrecondition'),
      );
    };
  },
  'files, thrown into': async ({ files }, ref, registry) => {
    stall(registry);
    const iteration = files(ref);
    const first = iteration.next();
    await pause();
    return async () => {
      await assert.rejects(iteration.throw(new Error('mine')), /mine/);
      await first;
    };
  },
};

async function readAll(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  while (!(await reader.read()).done);
}

/** Until a read waits for the network. */
const pause = () => new Promise((resolve) => setTimeout(resolve, 60));

test('the library: what its reader leaves ends at once', async (t) => {
  await withBench(async ({ registry }) => {
    const ref = registry.push('a/f', 'v1', image);
    const options = { plainHttp: true };
    let worst = 0;
    for (const [module, { files, open }] of Object.entries({ hawser: library, 'hawser/web': web })) {
      // The connections that idle are hawser's to close, and of the standard's fetch the runtime's.
      const left = module === 'hawser' ? registry.openConnections : registry.answering;
      for (const [name, start] of Object.entries(CASES)) {
        registry.faults.length = 0;
        const face: Face = {
          files: (reference) => files(reference, options),
          open: (reference, what) => open(reference, what, options),
        };
        const leave = await start(face, ref, registry);
        const began = performance.now();
        await Promise.race([leave(), new Promise((resolve) => setTimeout(resolve, MOST).unref())]);
        while (left() > 0 && performance.now() - began < MOST)
          await new Promise((resolve) => setTimeout(resolve, 5));
        const took = performance.now() - began;
        worst = Math.max(worst, took);
        assert.ok(took < MOST, `${name} of ${module}: ${Math.round(took)} ms`);
      }
    }
    t.diagnostic(`the slowest took ${Math.round(worst)} ms`);
  });
});
