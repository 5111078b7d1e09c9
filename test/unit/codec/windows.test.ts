import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodedStream } from '../../../src/core/codec/source.ts';
import { sharedWindows, Windows } from '../../../src/core/codec/windows.ts';
import { decodeZstd, type ZstdEngine } from '../../../src/core/codec/zstd-decode.ts';
import { createCodecs } from '../../../src/platform/codecs/native-codecs.ts';
import { collect, concat, sourceOf } from '../../support/streams.ts';

const MIB = 1 << 20;
const never = new AbortController().signal;

/** Whether `work` is not over after several looks. */
async function waits(work: Promise<unknown>): Promise<boolean> {
  const late = new Promise((resolve) => setTimeout(resolve, 30, 'late'));
  return (await Promise.race([work, late])) === 'late';
}

test('what fits is had at once; what does not waits until enough is given back', async () => {
  const shared = sharedWindows();
  const [a, b, c] = [new Windows(shared, 1), new Windows(shared, 2), new Windows(shared, 3)];
  await a.reserve(64 * MIB, never);
  await b.reserve(60 * MIB, never);
  const largest = c.reserve(128 * MIB, never);
  assert.ok(await waits(largest));
  a.release();
  assert.ok(await waits(largest), 'half of it is free');
  b.release();
  await largest;
  const small = a.reserve(9 * MIB, never);
  assert.ok(await waits(small));
  new Windows(shared, 3).release();
  await small;
});

test('who asks for more holds nothing meanwhile: two cannot wait for each other', async () => {
  const shared = sharedWindows();
  const all = [1, 2, 3, 4].map((owner) => new Windows(shared, owner));
  await Promise.all(
    all.map(async (windows) => {
      for (const size of [16, 32, 64, 128]) {
        await windows.reserve(size * MIB, never);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      windows.release();
    }),
  );
});

test('an abort ends the wait, and takes nothing from who holds', async () => {
  const shared = sharedWindows();
  const [a, b] = [new Windows(shared, 1), new Windows(shared, 2)];
  await a.reserve(128 * MIB, never);
  const stop = new AbortController();
  const waiting = b.reserve(16 * MIB, stop.signal);
  stop.abort(new Error('stopped'));
  await assert.rejects(waiting, /stopped/);
  assert.ok(await waits(b.reserve(16 * MIB, AbortSignal.timeout(200))));
});

/** A frame of one raw block; the window takes this exponent. */
function frame(text: string, exponent: number): Uint8Array {
  const header = (text.length << 3) | 1;
  const block = [header & 255, header >> 8, 0, ...new TextEncoder().encode(text)];
  return Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0, (exponent - 10) << 3, ...block]);
}

const PACKED = concat(
  frame('small ', 20),
  frame('small ', 23),
  frame('large ', 24),
  frame('large ', 24),
  frame('larger ', 27),
  frame('small', 20),
);

/** Decodes nothing; notes which windows were reserved when a decoder got bytes. */
function notingEngine(
  taken: () => number,
  lingers = false,
): { readonly engine: ZstdEngine; readonly seen: string[] } {
  const seen: string[] = [];
  const engine: ZstdEngine = {
    joins: true,
    lingers,
    open: () => ({
      // biome-ignore lint/correctness/useYield: nothing comes out.
      async *decode(input) {
        if (input.length > 0) seen.push(`${taken()} for ${input.length}`);
      },
      close: () => void seen.push('closed'),
    }),
  };
  return { engine, seen };
}

test('a decoder gets the header of a large window when it is reserved, and gives back all at the end', async () => {
  for (const size of [1, 4, 6, 7, 1000]) {
    const shared = sharedWindows();
    const taken = () => new Int32Array(shared).filter((owner) => owner === 7).length;
    const { engine, seen } = notingEngine(taken);
    const windows = new Windows(shared, 7);
    await collect(
      decodedStream(sourceOf(PACKED, size).stream, (source) => decodeZstd(source, engine, windows)),
    );
    const units = new Map<string, number>();
    for (const what of seen.filter((line) => line !== 'closed')) {
      const [count = '', bytes = ''] = what.split(' for ');
      units.set(count, (units.get(count) ?? 0) + Number(bytes));
    }
    assert.deepEqual(
      [...units],
      [
        ['0', 30],
        ['1', 30],
        ['8', 30],
      ],
      `chunks of ${size}`,
    );
    assert.equal(seen.filter((line) => line === 'closed').length, 3);
    assert.equal(taken(), 0);
  }
});

test('what an engine that lingers had reserved stays until its thread ends', async () => {
  const shared = sharedWindows();
  const windows = new Windows(shared, 1);
  const { engine } = notingEngine(() => 0, true);
  const source = sourceOf(PACKED, 1000).stream;
  await collect(decodedStream(source, (bytes) => decodeZstd(bytes, engine, windows)));
  assert.ok(windows.held);
  const next = new Windows(shared, 2).reserve(9 * MIB, never);
  assert.ok(await waits(next));
  windows.release();
  await next;
});

for (const choice of ['auto', 'portable'] as const)
  test(`${choice}: the output is whole where a decoder makes room for a larger window`, async () => {
    for (const size of [1, 4, 7, 17, 1000]) {
      const shared = sharedWindows();
      const codec = await createCodecs(new Windows(shared, 1)).get('zstd', choice);
      const out = await collect(codec.decode(sourceOf(PACKED, size).stream));
      assert.equal(new TextDecoder().decode(out), 'small small large large larger small');
    }
  });

test('a stream that waits for room ends at once when it is cancelled, or its call aborted', async () => {
  const shared = sharedWindows();
  await new Windows(shared, 1).reserve(128 * MIB, never);
  const codec = await createCodecs(new Windows(shared, 2)).get('zstd');
  const cancelled = sourceOf(PACKED.subarray(30), 1000);
  const reader = codec.decode(cancelled.stream).getReader();
  const read = reader.read();
  assert.ok(await waits(read));
  await reader.cancel();
  assert.equal((await read).done, true);
  const stop = new AbortController();
  const aborted = codec.decode(sourceOf(PACKED.subarray(30), 1000).stream, stop).getReader();
  const failing = aborted.read();
  assert.ok(await waits(failing));
  stop.abort(new Error('stopped'));
  await assert.rejects(failing, /stopped/);
});

test('portable: the next decoder takes the memory of one that ended with a frame, and never of one that did not', async (t) => {
  let made = 0;
  const { Instance } = WebAssembly;
  t.after(() => Object.assign(WebAssembly, { Instance }));
  const counting = class extends Instance {
    constructor(...args: ConstructorParameters<typeof Instance>) {
      super(...args);
      made++;
    }
  };
  Object.assign(WebAssembly, { Instance: counting });
  const codec = await createCodecs().get('zstd', 'portable');
  const packed = concat(frame('one ', 17), frame('two', 18));
  const whole = () => collect(codec.decode(sourceOf(packed, 1000).stream));
  await whole();
  const before = made;
  for (let run = 0; run < 3; run++) await whole();
  assert.equal(made, before);
  // Both at once: each has an instance to itself.
  await Promise.all([whole(), whole()]);
  assert.equal(made, before + 1);
  await assert.rejects(collect(codec.decode(sourceOf(packed.subarray(0, -2), 1000).stream)));
  assert.equal(new TextDecoder().decode(await whole()), 'one two');
});
