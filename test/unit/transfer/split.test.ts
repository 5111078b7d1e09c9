/** A blob in several ranges at once: when, from whom, and that its bytes come in order whatever happens. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HawserError, isKind } from '../../../src/core/errors.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import type { Clock } from '../../../src/core/ports/clock.ts';
import type { Fetched, Fetcher, FetchRequest } from '../../../src/core/registry/roles.ts';
import { Link, type SplitOptions } from '../../../src/core/transfer/link.ts';
import { Served } from '../../../src/core/transfer/range-reader.ts';
import { SplitReader } from '../../../src/core/transfer/split-reader.ts';
import { descriptor } from '../../registry/client.ts';
import { noise } from '../../registry/image.ts';
import { sha256 } from '../../registry/registry.ts';

const KIB = 1024;
const BLOB = noise(1024 * KIB, 5);
const DESC: Descriptor = descriptor('application/vnd.oci.image.layer.v1.tar', sha256(BLOB), BLOB.length);

/** Time that goes on only when everyone waits: the earliest sleeper is woken once nothing else can run. */
class SimClock implements Clock {
  #now = 0;
  #sleepers: { at: number; wake: () => void }[] = [];
  #scheduled = false;

  now(): number {
    return this.#now;
  }
  monotonic(): number {
    return this.#now;
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const sleeper = { at: this.#now + ms, wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', () => {
        this.#sleepers = this.#sleepers.filter((one) => one !== sleeper);
        reject(signal.reason);
      });
      this.#schedule();
    });
  }

  /** A macrotask later, when all microtasks have run. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setTimeout(() => {
      this.#scheduled = false;
      this.#sleepers.sort((a, b) => a.at - b.at);
      const next = this.#sleepers.shift();
      if (next === undefined) return;
      this.#now = Math.max(this.#now, next.at);
      next.wake();
      if (this.#sleepers.length > 0) this.#schedule();
    }, 0);
  }
}

interface World {
  /** Bytes a millisecond: of one stream, and of all together. */
  readonly stream: number;
  readonly link: number;
  /** May answer or fail in place of the server. */
  readonly tamper?: (request: FetchRequest, nth: number) => Partial<Fetched> | undefined;
  /** Of the `nth` request, the place at which its connection is lost. */
  readonly cut?: (request: FetchRequest, nth: number) => number | undefined;
}

interface Run {
  readonly requests: FetchRequest[];
  readonly retries: number[];
  readonly bytes: Uint8Array;
  readonly ms: number;
  readonly sent: number;
  readonly most: number;
}

const CHUNK = 16 * KIB;

/** A server in simulated time. Streams share the link evenly. */
function serverOf(clock: Clock, world: World) {
  const state = { open: 0, most: 0, sent: 0 };
  const requests: FetchRequest[] = [];
  const fetcher: Fetcher = {
    async fetch(_desc, request = {}) {
      requests.push(request);
      const nth = requests.length;
      await clock.sleep(20, request.signal);
      const tampered = world.tamper?.(request, nth);
      const { offset = 0, end = BLOB.length } = request;
      const cut = world.cut?.(request, nth);
      let at = tampered?.offset ?? offset;
      state.open++;
      state.most = Math.max(state.most, state.open);
      let over = false;
      const leave = (): void => {
        if (!over) state.open--;
        over = true;
      };
      const body = new ReadableStream<Uint8Array>(
        {
          async pull(out) {
            if (at >= end) {
              leave();
              return out.close();
            }
            const size = Math.min(CHUNK, end - at, (cut ?? end) - at);
            if (size <= 0) {
              leave();
              throw new HawserError('Unavailable', 'cut', { data: { code: 'UNEXPECTED_END' } });
            }
            const speed = Math.min(world.stream, world.link / state.open);
            await clock.sleep(size / speed, request.signal).catch((err) => {
              leave();
              throw err;
            });
            if (over) return;
            state.sent += size;
            out.enqueue(BLOB.subarray(at, at + size));
            at += size;
          },
          cancel: leave,
        },
        { highWaterMark: 0 },
      );
      return { body, offset: at, host: 'one', ...tampered };
    },
  };
  return { fetcher, requests, state };
}

const OPTIONS: SplitOptions = { piece: 32 * KIB, interval: 200, lanes: 4 };

async function run(world: World, more: { options?: SplitOptions; start?: number } = {}): Promise<Run> {
  const clock = new SimClock();
  const { fetcher, requests, state } = serverOf(clock, world);
  const link = new Link(clock, { ...OPTIONS, ...more.options });
  const retries: number[] = [];
  const onRetry = (_: unknown, offset: number) => void retries.push(offset);
  const start = more.start ?? 0;
  const reader = new SplitReader(
    { fetcher, clock, onRetry },
    DESC,
    start,
    { served: new Served(), link },
    {},
  );
  const bytes = new Uint8Array(BLOB.length - start);
  let at = 0;
  try {
    for (let chunk = await reader.read(); chunk !== undefined; chunk = await reader.read()) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
  } finally {
    await reader.close();
  }
  assert.equal(at, bytes.length);
  assert.equal(state.open, 0, 'every body is ended');
  for (let n = 0; n < (more.options?.pieces ?? 8); n++) assert.ok(link.take(), 'all memory is given back');
  return { requests, retries, bytes, ms: clock.monotonic(), sent: state.sent, most: state.most };
}

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

test('H41: a host that cannot give parts costs one request, and not a byte', async () => {
  const { bytes, requests, sent } = await run({
    stream: 100,
    link: 1000,
    tamper: ({ end }) => {
      if (end !== undefined)
        throw new HawserError('FailedPrecondition', 'no', { data: { code: 'NO_RANGE' } });
      return undefined;
    },
  });
  assert.deepEqual(bytes, BLOB);
  assert.equal(requests.length, 2);
  assert.equal(sent, BLOB.length);
});

test('H41: a host that stops giving parts half-way: the rest comes as one', async () => {
  let parts = 0;
  const { bytes } = await run({
    stream: 100,
    link: 1000,
    tamper: ({ end }) => {
      if (end !== undefined && ++parts > 3) {
        throw new HawserError('FailedPrecondition', 'no', { data: { code: 'NO_RANGE' } });
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

test('a range that is refused for the moment (408) is asked for again', async () => {
  const tamper = (_: FetchRequest, nth: number): undefined => {
    if (nth === 3) throw new HawserError('Unavailable', 'timeout', { data: { status: 408 } });
  };
  const { bytes, requests } = await run({ stream: 100, link: 1000, tamper });
  assert.deepEqual(bytes, BLOB);
  const refused = requests[2]?.offset ?? 0;
  assert.ok(refused > 0);
  assert.equal(requests.filter(({ offset }) => offset === refused).length, 2);
});

test('resumed in the middle', async () => {
  const { bytes, requests } = await run({ stream: 100, link: 1000 }, { start: 300_001 });
  assert.deepEqual(bytes, BLOB.subarray(300_001));
  assert.equal(requests[0]?.offset, 300_001);
});

test('no more ranges wait in memory than there is room for', async () => {
  const { bytes, most } = await run({ stream: 50, link: 1000 }, { options: { lanes: 6, pieces: 2 } });
  assert.deepEqual(bytes, BLOB);
  assert.ok(most <= 3, String(most));
});

test('H42: content that changed between ranges is damage, not a splice', async () => {
  const changed = run({
    stream: 100,
    link: 1000,
    tamper: (_, nth) => {
      if (nth > 2) throw new HawserError('DataLoss', 'changed', { data: { code: 'CHANGED' } });
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
