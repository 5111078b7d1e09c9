/** A blob in several ranges at once: when, from whom, and that its bytes come in order whatever happens. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Link } from '../../../src/core/download/link.ts';
import { Served } from '../../../src/core/download/served.ts';
import { SplitReader } from '../../../src/core/download/split-reader.ts';
import { HawserError, isKind } from '../../../src/core/errors.ts';
import type { FetchRequest } from '../../../src/core/registry/registry.ts';
import { BLOB, CHUNK, DESC, KIB, OPTIONS, run, SimClock, serverOf } from '../../support/split-world.ts';

test('a stream that is slower than the link: ranges beside it, in order, each byte once', async () => {
  const alone = await run({ stream: 100, link: 1000 }, { options: { lanes: 1 } });
  assert.equal(alone.requests.length, 1);
  const split = await run({ stream: 100, link: 1000 });
  assert.deepEqual(split.bytes, BLOB);
  assert.equal(split.requests[0]?.end, undefined);
  assert.equal(split.most, 4);
  assert.ok(split.ms < alone.ms / 2, `${split.ms} of ${alone.ms}`);
  assert.ok(split.sent <= BLOB.length + CHUNK, `${split.sent} bytes for ${BLOB.length}`);
  const ranges = split.requests.slice(1).map(({ offset = 0, end = 0 }) => [offset, end] as const);
  for (const [offset, end] of ranges) assert.ok(end - offset <= 32 * KIB);
});

test('a stream that fills the link is left alone but for a try now and then', async () => {
  const alone = await run({ stream: 1000, link: 100 }, { options: { lanes: 1 } });
  const tried = await run({ stream: 1000, link: 100 });
  assert.deepEqual(tried.bytes, BLOB);
  assert.ok(tried.most <= 2);
  assert.ok(tried.ms < alone.ms * 1.1, `${tried.ms} of ${alone.ms}`);
});

test('a host that cannot give parts costs one request, and not a byte (H41)', async () => {
  const { bytes, requests, sent } = await run({
    stream: 100,
    link: 1000,
    tamper: ({ end }) => {
      if (end !== undefined)
        throw new HawserError('FailedPrecondition', 'no', { reason: { type: 'exchange', code: 'NO_RANGE' } });
      return undefined;
    },
  });
  assert.deepEqual(bytes, BLOB);
  assert.equal(requests.length, 2);
  assert.equal(sent, BLOB.length);
});

test('a host that stops giving parts half-way: the rest comes as one (H41)', async () => {
  let parts = 0;
  const { bytes } = await run({
    stream: 100,
    link: 1000,
    tamper: ({ end }) => {
      if (end !== undefined && ++parts > 3) {
        throw new HawserError('FailedPrecondition', 'no', { reason: { type: 'exchange', code: 'NO_RANGE' } });
      }
      return undefined;
    },
  });
  assert.deepEqual(bytes, BLOB);
});

test('a range that is cut is taken up from its last byte; nothing else is asked for again', async () => {
  const { bytes, retries, sent } = await run({
    stream: 100,
    link: 1000,
    cut: ({ offset = 0 }, nth) => (nth % 3 === 0 ? offset + 20 * KIB : undefined),
  });
  assert.deepEqual(bytes, BLOB);
  assert.ok(retries.length >= 3);
  assert.ok(sent <= BLOB.length + CHUNK, `${sent} bytes for ${BLOB.length}`);
});

/**
 * spec/remote.md 5.6. containerd cuts a blob at fixed places into as many requests (3 MiB by 1 MiB: 3; from byte 25: 3; from the
 * last byte: 1). Ours begins with one and adds ranges only while that makes it faster, so the numbers are these: one, and one for
 * each range from where the first was cut.
 */
for (const start of [0, 25, 300_001]) {
  test(`each range is asked for once, and no more: from byte ${start}`, async () => {
    const { bytes, requests } = await run({ stream: 100, link: 1000 }, { start });
    assert.deepEqual(bytes, BLOB.subarray(start));
    assert.deepEqual([requests[0]?.offset, requests[0]?.end], [start, undefined]);
    const cut = requests[1]?.offset ?? assert.fail();
    const count = Math.ceil((BLOB.length - cut) / (32 * KIB));
    assert.equal(requests.length, 1 + count);
    assert.deepEqual(
      requests.slice(1).map(({ offset, end }) => [offset, end]),
      Array.from({ length: count }, (_, at) => {
        const from = cut + at * 32 * KIB;
        return [from, Math.min(from + 32 * KIB, BLOB.length)];
      }),
    );
  });
}

test('one request where there is nothing to split: a single lane, under three ranges, the last byte', async () => {
  const world = { stream: 100, link: 1000 };
  for (const more of [
    { options: { lanes: 1 } },
    { options: { piece: 512 * KIB } },
    { start: BLOB.length - 96 * KIB + 1 },
    { start: BLOB.length - 1 },
  ]) {
    assert.equal((await run(world, more)).requests.length, 1, JSON.stringify(more));
  }
  assert.equal((await run(world, { start: BLOB.length })).requests.length, 0);
});

const answered = (status: number) =>
  new HawserError('Unavailable', `status ${status}`, { reason: { type: 'status', status } });

for (const status of [408, 500, 503]) {
  test(`a range that is refused for the moment (${status}) is asked for again`, async () => {
    const tamper = (_: FetchRequest, nth: number): undefined => {
      if (nth === 3) throw answered(status);
    };
    const { bytes, requests } = await run({ stream: 100, link: 1000, tamper });
    assert.deepEqual(bytes, BLOB);
    const refused = requests[2]?.offset ?? 0;
    assert.ok(refused > 0);
    assert.equal(requests.filter(({ offset }) => offset === refused).length, 2);
  });
}

test('a range that is refused for good (500) comes with the rest, as one', async () => {
  const tamper = ({ end }: FetchRequest, nth: number): undefined => {
    if (nth > 2 && end !== undefined) throw answered(500);
  };
  const { bytes, requests } = await run({ stream: 100, link: 1000, tamper });
  assert.deepEqual(bytes, BLOB);
  assert.equal(requests.at(-1)?.end, undefined);
  assert.equal(requests.at(-1)?.offset, requests[1]?.end);
});

test('when nothing but 500 comes any more it fails with that, and nothing is spliced', async () => {
  const chunks: Uint8Array[] = [];
  const tamper = (_: FetchRequest, nth: number): undefined => {
    if (nth > 2) throw answered(500);
  };
  const work = run({ stream: 100, link: 1000, tamper }, { chunks });
  await assert.rejects(work, /^HawserError: status 500 \(given up after \d+ tries/);
  const read = Buffer.concat(chunks);
  assert.ok(read.length > 0 && read.length < BLOB.length);
  assert.deepEqual(new Uint8Array(read), BLOB.subarray(0, read.length));
});

test('no more ranges wait in memory than there is room for', async () => {
  const { bytes, most } = await run({ stream: 50, link: 1000 }, { options: { lanes: 6, pieces: 2 } });
  assert.deepEqual(bytes, BLOB);
  assert.ok(most <= 3, String(most));
});

test('content that changed between ranges is damage, not a splice (H42)', async () => {
  const changed = run({
    stream: 100,
    link: 1000,
    tamper: (_, nth) => {
      if (nth > 2)
        throw new HawserError('DataLoss', 'changed', { reason: { type: 'exchange', code: 'CHANGED' } });
      return undefined;
    },
  });
  await assert.rejects(changed, (err) => isKind(err, 'DataLoss'));
});

test('an abort ends every range', async () => {
  const clock = new SimClock();
  const { fetcher, state } = serverOf(clock, { stream: 100, link: 1000 });
  const stop = new AbortController();
  const link = new Link(clock, OPTIONS);
  const deps = { fetcher, clock, onRetry: () => {} };
  const reader = new SplitReader(deps, DESC, 0, { served: new Served(), link }, { signal: stop.signal });
  await assert.rejects(
    async () => {
      for (;;) {
        await reader.read();
        if (state.open >= 3) stop.abort(new DOMException('stop', 'AbortError'));
      }
    },
    (err) => isKind(err, 'Canceled'),
  );
  await reader.close();
  assert.equal(state.open, 0);
});
