/** A blob into a store, against a scripted fetcher and a store of a few lines. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { orAborted } from '../../../src/core/async/abort.ts';
import type { Ingest } from '../../../src/core/content/content-store.ts';
import { Doubts } from '../../../src/core/download/doubts.ts';
import { type BlobDeps, fetchBlob } from '../../../src/core/download/fetch-blob.ts';
import { HawserError, isKind, notesOf } from '../../../src/core/errors.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { type Digest, makeDigest } from '../../../src/core/oci/digest.ts';
import type { ProgressEvent } from '../../../src/core/progress/events.ts';
import type { Fetched } from '../../../src/core/registry/registry.ts';

const BYTES: Uint8Array = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) & 0xff);
const sha = (bytes: Uint8Array): Digest =>
  makeDigest('sha256', createHash('sha256').update(bytes).digest('hex'));
const DESC: Descriptor = {
  mediaType: 'application/vnd.oci.image.layer.v1.tar',
  digest: sha(BYTES),
  size: BYTES.length,
};

/** A store of one blob that counts what happens to it. */
class OneBlob {
  data: Uint8Array = new Uint8Array();
  committed = false;
  resets = 0;
  busyFor = 0;

  async ingest(ref: string): Promise<Ingest> {
    if (this.committed) throw new HawserError('AlreadyExists', 'there');
    if (this.busyFor-- > 0) throw new HawserError('Unavailable', 'locked', { reason: { type: 'busy' } });
    const store = this;
    return {
      ref,
      get offset() {
        return store.data.length;
      },
      async write(bytes) {
        if (store.data.length + bytes.length > DESC.size) throw new HawserError('DataLoss', 'too long');
        store.data = Uint8Array.from([...store.data, ...bytes]);
      },
      async reset() {
        store.resets++;
        store.data = new Uint8Array();
      },
      async commit() {
        const actual = sha(store.data);
        if (actual !== DESC.digest) throw new HawserError('DataLoss', `want ${DESC.digest}, got ${actual}`);
        store.committed = true;
        return actual;
      },
      async [Symbol.asyncDispose]() {},
    };
  }
  async status(ref: string) {
    return { ref, offset: 3, total: 0, expected: undefined, startedAt: 0, updatedAt: 0 };
  }
  async listStatuses() {
    return [];
  }
  async abort() {}
}

type Script = (offset: number, nth: number) => Fetched | Promise<Fetched>;

function body(bytes: Uint8Array, failure?: Error): ReadableStream<Uint8Array> {
  const parts = [bytes.subarray(0, 10), bytes.subarray(10)];
  return new ReadableStream<Uint8Array>({
    pull(out) {
      const part = parts.shift();
      if (part) out.enqueue(part);
      else if (failure) out.error(failure);
      else out.close();
    },
  });
}

function setUp(script: Script): { deps: BlobDeps; store: OneBlob; events: ProgressEvent[]; asked: number[] } {
  const store = new OneBlob();
  const events: ProgressEvent[] = [];
  const asked: number[] = [];
  const deps: BlobDeps = {
    content: store,
    clock: { now: () => 0, monotonic: () => 0, sleep: async (_ms, signal) => signal?.throwIfAborted() },
    report: (event) => events.push(event),
    fetcher: {
      async fetch(_desc, opts) {
        const offset = opts?.offset ?? 0;
        asked.push(offset);
        return await script(offset, asked.length);
      },
    },
  };
  return { deps, store, events, asked };
}

const statuses = (events: ProgressEvent[]): string[] => [
  ...new Set(events.flatMap((e) => (e.type === 'blob' ? [e.status] : []))),
];
const reset = (): HawserError =>
  new HawserError('Unavailable', 'reset', { reason: { type: 'exchange', code: 'ECONNRESET' } });

test('fetched, committed, and reported', async () => {
  const { deps, store, events } = setUp((offset) => ({ body: body(BYTES.subarray(offset)), offset }));
  assert.equal(await fetchBlob(deps, DESC, {}), 'done');
  assert.ok(store.committed);
  assert.deepEqual(statuses(events), ['downloading', 'committing', 'done']);
  assert.equal(await fetchBlob(deps, DESC, {}), 'exists');
});

test('a connection lost is taken up again at the current byte', async () => {
  const { deps, store, asked } = setUp((offset, nth) => ({
    body: nth < 3 ? body(BYTES.subarray(offset, offset + 300), reset()) : body(BYTES.subarray(offset)),
    offset,
  }));
  await fetchBlob(deps, DESC, {});
  assert.deepEqual(asked, [0, 300, 600]);
  assert.equal(store.resets, 0);
});

for (const status of [408, 429, 500]) {
  test(`${status} twice: asked for again, from the same byte`, async () => {
    const { deps, store, asked } = setUp((offset, nth) => {
      if (nth < 3) throw new HawserError('Unavailable', 'no', { reason: { type: 'status', status } });
      return { body: body(BYTES.subarray(offset)), offset };
    });
    await fetchBlob(deps, DESC, {});
    assert.deepEqual(asked, [0, 0, 0]);
    assert.ok(store.committed);
  });
}

test('a clean but short end is a lost connection too', async () => {
  const { deps, asked } = setUp((offset, nth) => ({
    body: body(BYTES.subarray(offset, nth === 1 ? 400 : 1000)),
    offset,
  }));
  await fetchBlob(deps, DESC, {});
  assert.deepEqual(asked, [0, 400]);
});

test('a server that ignores the range is read from its start without splicing', async () => {
  const { deps, store, asked } = setUp((_offset, nth) =>
    nth === 1 ? { body: body(BYTES.subarray(0, 500), reset()), offset: 0 } : { body: body(BYTES), offset: 0 },
  );
  await fetchBlob(deps, DESC, {});
  assert.deepEqual(asked, [0, 500]);
  assert.deepEqual(store.data, BYTES);
});

test('what an earlier run left is continued, and a complete one needs no request', async () => {
  const { deps, store, asked } = setUp((offset) => ({ body: body(BYTES.subarray(offset)), offset }));
  store.data = BYTES.slice(0, 999);
  await fetchBlob(deps, DESC, {});
  assert.deepEqual(asked, [999]);
  const full = setUp(() => assert.fail('no request is needed'));
  full.store.data = BYTES.slice();
  await fetchBlob(full.deps, DESC, {});
  assert.ok(full.store.committed);
});

test('wrong bytes are dropped and fetched once more whole', async () => {
  const { deps, store, asked } = setUp((offset) => ({ body: body(BYTES.subarray(offset)), offset }));
  store.data = new Uint8Array(600).fill(1);
  await fetchBlob(deps, DESC, {});
  assert.deepEqual(asked, [600, 0]);
  assert.equal(store.resets, 1);
});

test('wrong bytes twice are DataLoss that names the digests, with nothing left behind', async () => {
  const wrong = BYTES.map((b) => b ^ 1);
  const { deps, store, asked } = setUp((offset) => ({ body: body(wrong.subarray(offset)), offset }));
  await assert.rejects(fetchBlob(deps, DESC, {}), (err) => {
    assert.ok(isKind(err, 'DataLoss'));
    assert.match((err as Error).message, new RegExp(`${DESC.digest}.*${sha(wrong)}`));
    return true;
  });
  assert.deepEqual(asked, [0, 0]);
  assert.equal(store.data.length, 0);
  assert.equal(store.committed, false);
});

test('wrong bytes that cannot be dropped are told as wrong bytes; why they stay is a note', async () => {
  const wrong = BYTES.map((b) => b ^ 1);
  const { deps, store, asked } = setUp((offset) => ({ body: body(wrong.subarray(offset)), offset }));
  const ingest = store.ingest.bind(store);
  store.ingest = async (ref) => {
    const made = await ingest(ref);
    return Object.assign(made, {
      reset: async () => Promise.reject(new HawserError('Internal', 'truncate: EIO')),
    });
  };
  const err = await fetchBlob(deps, DESC, {}).catch((err: unknown) => err);
  assert.ok(isKind(err, 'DataLoss'));
  assert.deepEqual(notesOf(err), ['truncate: EIO']);
  assert.deepEqual(asked, [0]);
});

test('an abort for another’s wrong bytes drops none', async () => {
  const stop = new AbortController();
  const script: Script = async () => {
    setTimeout(() => stop.abort(new HawserError('DataLoss', 'another blob')), 1);
    return await orAborted(new Promise<never>(() => {}), stop.signal);
  };
  const { deps, store } = setUp(script);
  await assert.rejects(fetchBlob(deps, DESC, stop), /another blob/);
  assert.equal(store.resets, 0);
});

test('a body that goes on and on is cut at the size', async () => {
  const long = new Uint8Array(5000);
  const { deps, store } = setUp((offset) => ({ body: body(long.subarray(offset)), offset }));
  await assert.rejects(fetchBlob(deps, DESC, {}), (err) => isKind(err, 'DataLoss'));
  assert.equal(store.committed, false);
});

test('tries that bring nothing end with the cause; what cannot be retried ends at once', async () => {
  const nothing = setUp(() => {
    throw reset();
  });
  await assert.rejects(
    fetchBlob({ ...nothing.deps, retry: { tries: 4 } }, DESC, {}),
    /reset \(given up after 5 tries without progress/,
  );
  assert.equal(nothing.asked.length, 5);
  const missing = setUp(() => {
    throw new HawserError('NotFound', 'no such blob');
  });
  await assert.rejects(fetchBlob(missing.deps, DESC, {}), (err) => isKind(err, 'NotFound'));
  assert.equal(missing.asked.length, 1);
});

test('another writer is followed until the blob is there', async () => {
  const { deps, store, events } = setUp((offset) => ({ body: body(BYTES.subarray(offset)), offset }));
  store.busyFor = 3;
  await fetchBlob(deps, DESC, {});
  assert.equal(statuses(events)[0], 'following');
  assert.ok(store.committed);
});

test('a writer that has stopped is told of, and then the blob is fetched beside it', async () => {
  const world = setUp((offset) => ({ body: body(BYTES.subarray(offset)), offset }));
  const { store, events } = world;
  let now = 0;
  const clock = {
    ...world.deps.clock,
    monotonic: () => now,
    sleep: async (ms: number) => {
      now += ms;
    },
  };
  const refs: string[] = [];
  const content: BlobDeps['content'] = {
    ingest: async (ref) => {
      refs.push(ref);
      if (refs.length > 5_000) assert.fail('it never ends');
      // The first writer has stopped, and so has the one beside it.
      if (!ref.endsWith('+2')) throw new HawserError('Unavailable', 'locked', { reason: { type: 'busy' } });
      return await store.ingest(ref);
    },
    status: (ref) => store.status(ref),
    listStatuses: () => store.listStatuses(),
    abort: () => store.abort(),
  };
  const deps = { ...world.deps, clock, content };
  assert.equal(await fetchBlob(deps, DESC, {}), 'done');
  assert.ok(store.committed);
  assert.ok(now >= 120_000 && now < 125_000, `${now} ms`);
  const waits = events.filter((event) => event.type === 'waiting');
  assert.equal(waits.length, 2);
  assert.match(
    waits[0]?.reason ?? '',
    /^another process fetches layer-sha256:\w+, and has written nothing for 5 s$/,
  );
  assert.deepEqual(
    [...new Set(refs)].map((ref) => ref.replace(/^.*[0-9a-f]{64}/, '')),
    ['', '+1', '+2'],
  );
  now = 0;
  refs.length = 0;
  store.committed = false;
  store.data = new Uint8Array();
  await fetchBlob({ ...deps, retry: { stall: 1_000 } }, DESC, {});
  assert.ok(now >= 2_000 && now < 3_000, `${now} ms`);
});

test('an abort ends it with the signal’s reason', async () => {
  const stop = new AbortController();
  const { deps, store } = setUp(() => {
    stop.abort(new HawserError('Canceled', 'interrupted'));
    throw reset();
  });
  await assert.rejects(fetchBlob(deps, DESC, { signal: stop.signal }), (err) => isKind(err, 'Canceled'));
  assert.equal(store.committed, false);
});

test('on a full disk the bytes of a blob that cannot fit are given back, others kept for the next fetch', async () => {
  for (const [errno, free, kept] of [
    ['ENOSPC', 100, 0],
    ['EDQUOT', 100, 0],
    ['ENOSPC', 990, 10],
    ['ENOSPC', undefined, 10],
    ['EIO', 100, 10],
  ] as const) {
    const { deps, store } = setUp((offset) => ({ body: body(BYTES.subarray(offset)), offset }));
    const content = Object.assign(Object.create(store), {
      ingest: async (ref: string) => {
        const ingest = await store.ingest(ref);
        const write = async (bytes: Uint8Array): Promise<void> => {
          if (bytes.length > 10)
            throw new HawserError('ResourceExhausted', 'full', { reason: { type: 'errno', errno } });
          await ingest.write(bytes);
        };
        return Object.assign(Object.create(ingest), { write });
      },
    });
    const space = free === undefined ? undefined : async () => ({ free });
    await assert.rejects(fetchBlob({ ...deps, content, space }, DESC, {}), /full/);
    assert.equal(store.data.length, kept, `${errno} ${free}`);
  }
});

test('a doubt of a reader ends the attempt at once: all is fetched once more, from another host if there is one', async () => {
  const doubts = new Doubts();
  assert.equal(await doubts.raise('nobody fetches'), false);
  const distrusted: string[] = [];
  const { deps, store, events } = setUp((offset) => ({ body: body(BYTES), offset, host: 'good' }));
  const fetcher: BlobDeps['fetcher'] = {
    distrust: (host) => void distrusted.push(host),
    async fetch(desc, opts) {
      if (store.resets > 0) return await deps.fetcher.fetch(desc, opts);
      const hanging = new ReadableStream<Uint8Array>({
        start(out) {
          out.enqueue(new Uint8Array(5));
          opts?.signal?.addEventListener('abort', () => out.error(opts.signal?.reason));
        },
      });
      return { body: hanging, offset: 0, host: 'bad' };
    },
  };
  const fetching = fetchBlob({ ...deps, fetcher }, DESC, { doubts });
  while (store.data.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(await doubts.raise(new Error('no archive')), true);
  assert.deepEqual([store.resets, store.data.length], [1, 0]);
  assert.equal(await fetching, 'done');
  assert.deepEqual(distrusted, [], 'the blob may be as it was published');
  assert.match(JSON.stringify(events.filter((e) => e.type === 'retry')), /cannot be right: no archive/);
  assert.equal(await doubts.raise('all is there'), false);
});
