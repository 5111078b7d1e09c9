/** What containerd's wire has in store for its clients, by a server that does it on purpose. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { typesOf } from '../../../src/backends/containerd/codec.ts';
import { ContainerdContent } from '../../../src/backends/containerd/content.ts';
import { DirectAccess } from '../../../src/backends/containerd/direct.ts';
import { Durable } from '../../../src/backends/containerd/durable.ts';
import { ContainerdImages } from '../../../src/backends/containerd/images.ts';
import { Rebases } from '../../../src/backends/containerd/rebases.ts';
import { ContainerdSnapshotter } from '../../../src/backends/containerd/snapshotter.ts';
import { Unsynced } from '../../../src/backends/containerd/unsynced.ts';
import { waysOf } from '../../../src/backends/containerd/version.ts';
import { encodeWrite, HEAD } from '../../../src/backends/containerd/write-message.ts';
import { type HawserError, isKind } from '../../../src/core/errors.ts';
import { WriteOut } from '../../../src/core/layers/write-out.ts';
import { createHashers } from '../../../src/platform/codecs/hashers.ts';
import { seeded } from '../../fuzz/random.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { failure } from '../../support/failure.ts';
import {
  type FakeContainerd,
  fakeContainerd,
  type Handlers,
  type Served,
  status,
} from '../../support/fake-containerd.ts';
import { chosenSeed } from '../../support/seed.ts';
import { bytesOf, close, collectStream, digestOf, someBytes } from '../../support/stores.ts';

const digest = digestOf(bytesOf('content'));
const [STAT, WRITE, COMMIT] = [0, 1, 2];

function check(title: string, handlers: Handlers, body: (fake: FakeContainerd) => Promise<void>): void {
  test(`containerd wire: ${title}`, async () => {
    const fake = await fakeContainerd(handlers);
    try {
      await body(fake);
    } finally {
      await fake[Symbol.asyncDispose]();
    }
  });
}

function contentOf({ connection }: FakeContainerd): ContainerdContent {
  return new ContainerdContent(connection, createHashers());
}

interface Ingested {
  bytes: Buffer;
  readonly requests: Record<string, unknown>[];
}

/** Content.Write as containerd does it, duplicates and truncation included; `commit` answers a COMMIT in its place. */
function writer(state: Ingested, commit?: (call: Served) => void): (call: Served) => undefined {
  return (call) => {
    let last: Record<string, unknown> = {};
    const answer = (message: Record<string, unknown>) => {
      last = message;
      call.write(message);
    };
    call.on('data', (request) => {
      state.requests.push({ ...request, data: undefined });
      const {
        action = STAT,
        offset = 0,
        data,
      } = request as { action?: number; offset?: number; data?: Buffer };
      if (action !== STAT && offset === 0) state.bytes = Buffer.alloc(0);
      if (offset !== 0 && offset !== state.bytes.length) {
        call.emit('error', {
          code: 11,
          details: `write @${offset} must occur at current offset ${state.bytes.length}`,
        });
        return;
      }
      if (data !== undefined) state.bytes = Buffer.concat([state.bytes, data]);
      if (action === COMMIT && commit !== undefined) return commit(call);
      answer({ action, offset: state.bytes.length, digest: digestOf(state.bytes) });
      if (action === COMMIT) call.write(last);
    });
    call.on('end', () => {
      call.write(last);
      call.end();
    });
    return undefined;
  };
}

const fresh = (bytes = ''): Ingested => ({ bytes: Buffer.from(bytes), requests: [] });

{
  const state = fresh();
  check(
    'a commit says how much there is: none would be stored else; answers sent twice are heard once',
    { 'content.v1.Content/Write': writer(state) },
    async (fake) => {
      const bytes = someBytes(5_000_000);
      const ingest = await contentOf(fake).ingest('ref', { digest: digestOf(bytes), size: bytes.length });
      await ingest.write(bytes.subarray(0, 1234));
      await ingest.write(bytes.subarray(1234));
      assert.equal(await ingest.commit({ labels: { a: 'b', none: '' } }), digestOf(bytes));
      assert.ok(state.bytes.equals(bytes));
      const last = state.requests.at(-1);
      assert.deepEqual(
        [last?.action, last?.offset, last?.total, last?.labels],
        [COMMIT, bytes.length, bytes.length, { a: 'b' }],
      );
      const writes = state.requests.filter(({ action }) => action === WRITE);
      assert.ok(writes.length >= 3 && writes.slice(1).every(({ offset }) => (offset as number) > 0));
    },
  );
}

test('a write is encoded around its bytes as it is encoded whole', () => {
  const [request] = typesOf('content.v1.Content/Write');
  for (const length of [1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152]) {
    for (const offset of [0, 1, 300, 2 ** 31, 2 ** 45 + 1]) {
      const data = someBytes(length);
      const buffer = new Uint8Array(HEAD + length + 7);
      buffer.set(data, HEAD);
      const message = encodeWrite(buffer, length, offset);
      const whole = Buffer.from(request.encode({ action: WRITE, offset, data }).finish());
      assert.ok(message.equals(whole), `${length} bytes at ${offset}`);
    }
  }
});

{
  const state = fresh();
  check(
    'bytes in pieces of any size arrive as they are; what is given is freed, what is lent is left',
    { 'content.v1.Content/Write': writer(state) },
    async (fake) => {
      const seed = chosenSeed();
      const next = seeded(seed);
      const bytes = someBytes(23_000_000);
      const ingest = await contentOf(fake).ingest('ref', { digest: digestOf(bytes), size: bytes.length });
      for (let at = 0, n = 0; at < bytes.length; n++) {
        const piece = bytes.slice(at, at + 1 + next(n % 3 === 0 ? 5_000_000 : 300_000));
        const { length } = piece;
        await ingest.write(piece, { isGiven: n % 2 === 0 });
        assert.equal(piece.length, n % 2 === 0 && length >= 16_384 ? 0 : length, `HAWSER_SEED=${seed}`);
        at += length;
      }
      assert.equal(await ingest.commit(), digestOf(bytes), `HAWSER_SEED=${seed}`);
      assert.ok(state.bytes.equals(bytes));
    },
  );
}

{
  const state = fresh('cont');
  check('an ingest that was begun goes on', { 'content.v1.Content/Write': writer(state) }, async (fake) => {
    const ingest = await contentOf(fake).ingest('ref', { digest, size: 7 });
    assert.equal(ingest.offset, 4);
    await ingest.write(bytesOf('ent'));
    assert.equal(await ingest.commit(), digest);
    assert.equal(state.bytes.toString(), 'content');
  });
}

{
  const state = fresh('more than is wanted');
  check(
    'more than is wanted is dropped at once',
    { 'content.v1.Content/Write': writer(state) },
    async (fake) => {
      const ingest = await contentOf(fake).ingest('ref', { digest, size: 7 });
      assert.equal(ingest.offset, 0);
      assert.equal(state.bytes.length, 0);
      await close(ingest);
    },
  );
}

{
  const state = fresh('cant');
  const mismatch = (call: Served) =>
    call.emit('error', {
      code: 9,
      details: `unexpected commit digest ${digestOf(state.bytes)}, expected ${digest}: failed precondition`,
    });
  let refuse = true;
  check(
    'what an earlier writer left and containerd finds wrong is DataLoss, and can be written again',
    {
      'content.v1.Content/Write': (call) => writer(state, refuse ? mismatch : undefined)(call),
    },
    async (fake) => {
      const ingest = await contentOf(fake).ingest('ref', { digest, size: 7 });
      await ingest.write(bytesOf('ent'));
      const err = await failure(ingest.commit());
      assert.ok(isKind(err, 'DataLoss'), String(err));
      assert.match(err.message, /unexpected commit digest sha256:\w+, expected sha256:\w+$/);
      assert.ok(isKind(await failure(ingest.write(bytesOf('x'))), 'FailedPrecondition'));
      refuse = false;
      await ingest.reset();
      await ingest.write(bytesOf('content'));
      assert.equal(await ingest.commit(), digest);
    },
  );
}

{
  const state = fresh();
  const lie = (call: Served) =>
    call.write({ action: COMMIT, offset: 7, digest: digestOf(bytesOf('another')) });
  check(
    'a commit of something else is no success',
    { 'content.v1.Content/Write': writer(state, lie) },
    async (fake) => {
      const ingest = await contentOf(fake).ingest('ref', { digest, size: 7 });
      await ingest.write(bytesOf('content'));
      assert.match(
        (await failure(ingest.commit())).message,
        /^Cannot commit "ref": containerd committed sha256:\w+ of 7 bytes, not/,
      );
      await close(ingest);
    },
  );
}

check(
  'a ref that another writes is busy; other unavailability is not',
  {
    'content.v1.Content/Write': (call) => {
      call.on('data', () =>
        call.emit('error', { code: 14, details: 'ref testing/1/ref locked for 1s (since x): unavailable' }),
      );
      return undefined;
    },
    'content.v1.Content/Status': () => {
      throw status(14, 'not now');
    },
  },
  async (fake) => {
    const content = contentOf(fake);
    const busy = (await failure(content.ingest('ref', {}))) as HawserError;
    assert.deepEqual([busy.kind, busy.reason?.type], ['Unavailable', 'busy']);
    const other = (await failure(content.status('ref'))) as HawserError;
    assert.deepEqual([other.kind, other.reason?.type], ['Unavailable', undefined]);
  },
);

check(
  'offsets of what is read count from the call; a message may have 16 MiB',
  {
    'content.v1.Content/Read': (call) => {
      const { offset } = call.request as { offset: number };
      const bytes = Buffer.alloc(15 << 20, 7).subarray(offset);
      call.write({ offset: 0, data: bytes.subarray(0, 12 << 20) });
      call.write({ offset: 12 << 20, data: bytes.subarray(12 << 20) });
      call.end();
      return undefined;
    },
  },
  async (fake) => {
    const read = await collectStream(await contentOf(fake).open(digest, { offset: 5 }));
    assert.equal(read.length, (15 << 20) - 5);
    assert.ok(read.every((byte) => byte === 7));
  },
);

{
  let cancelled: () => void = () => {};
  const seen = new Promise<void>((resolve) => {
    cancelled = resolve;
  });
  check(
    'a signal ends the call, on the other side too',
    {
      'content.v1.Content/Read': (call) => {
        call.on('cancelled', cancelled);
        call.write({ data: bytesOf('first') });
        return undefined;
      },
    },
    async (fake) => {
      const stop = new AbortController();
      const reader = (await contentOf(fake).open(digest, { signal: stop.signal })).getReader();
      assert.deepEqual((await reader.read()).value, bytesOf('first'));
      const waiting = failure(reader.read());
      stop.abort(new Error('enough'));
      assert.equal((await waiting).message, 'enough');
      await seen;
    },
  );
}

check(
  'namespace and lease go along; what exists already is leased',
  {
    'snapshots.v1.Snapshots/Prepare': (call) => {
      assert.deepEqual(call.metadata.get('containerd-namespace'), ['testing']);
      assert.deepEqual(call.metadata.get('containerd-lease'), ['the-lease']);
      throw status(6, 'target snapshot "chain": already exists');
    },
    'leases.v1.Leases/AddResource': ({ request }) => {
      assert.deepEqual(request, { id: 'the-lease', resource: { id: 'chain', type: 'snapshots/overlayfs' } });
      return {};
    },
  },
  async ({ connection }) => {
    const direct = new DirectAccess(connection, bareRuntime(), undefined);
    const noBoot = new Unsynced({ readFile: () => Promise.reject(new Error('no such file')) });
    const durable = new Durable(bareRuntime().workers, new WriteOut(bareRuntime()), noBoot);
    const named = { name: 'overlayfs', capable: false };
    const rebases = new Rebases(named, connection, direct, bareRuntime());
    const parts = { direct, durable, rebases };
    const snapshotter = new ContainerdSnapshotter(connection, 'overlayfs', parts, {
      ...waysOf('1.6'),
      remote: false,
    });
    const labels = { 'containerd.io/snapshot.ref': 'chain' };
    const err = await failure(snapshotter.prepare('key', '', { labels, lease: 'the-lease' }));
    assert.ok(isKind(err, 'AlreadyExists'), String(err));
  },
);

{
  const masks: unknown[] = [];
  const image = { name: 'a', target: { mediaType: 'x/y', digest, size: 7 }, labels: { kept: '1' } };
  check(
    'an image record that exists is changed in what is named, keys verbatim',
    {
      'images.v1.Images/Create': () => {
        throw status(6, 'image "a": already exists');
      },
      'images.v1.Images/Update': ({ request }) => {
        masks.push((request.updateMask as { paths: string[] }).paths);
        if (masks.length === 1) throw status(5, 'image "a": not found');
        return { image };
      },
    },
    async ({ connection }) => {
      const target = { mediaType: 'x/y', digest, size: 7 };
      const put = await new ContainerdImages(connection).put('a', target, { 'a.b/c_d': 'v', gone: '' });
      assert.deepEqual(put.labels, { kept: '1' });
      const paths = ['target', 'labels.a.b/c_d', 'labels.gone'];
      assert.deepEqual(masks, [paths, paths]);
    },
  );
}

check(
  'a containerd that goes away is told as that',
  { 'content.v1.Content/Info': () => ({ info: { digest, size: 7 } }) },
  async (fake) => {
    const content = contentOf(fake);
    assert.equal((await content.info(digest)).size, 7);
    fake.kill();
    const err = (await failure(content.info(digest))) as HawserError;
    assert.equal(err.kind, 'Unavailable');
    assert.match(err.message, /^Lost the connection to containerd at \//);
  },
);
