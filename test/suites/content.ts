/**
 * What every content store must do: the cases of containerd's core/content/testsuite, by their names there. Where our
 * contract differs from containerd's the name says so.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend } from '../../src/core/backend.ts';
import type { ContentStore, Ingest } from '../../src/core/content/content-store.ts';
import { isKind, type Kind, kindOf, reasonOf } from '../../src/core/errors.ts';
import { bytesOf, close, collectStream, digestOf, someBytes } from '../support/stores.ts';

export interface StoreUnderTest {
  /** The same store, another namespace; closed by `done`. */
  open(namespace: string, contentSharing?: 'isolated'): Promise<Backend>;
  done(): Promise<void>;
}

/** Why a case does not hold for an implementation, by its title: what that one does instead. */
export type Departures = Readonly<Record<string, string>>;

export async function rejectsWith(kind: Kind, work: Promise<unknown>): Promise<unknown> {
  let seen: unknown;
  await assert.rejects(work, (err) => {
    seen = err;
    assert.equal(kindOf(err), kind, String(err));
    return true;
  });
  return seen;
}

async function put(content: ContentStore, ref: string, bytes: Uint8Array): Promise<void> {
  const ingest = await content.ingest(ref, { digest: digestOf(bytes), size: bytes.length });
  await ingest.write(bytes);
  await ingest.commit();
}

async function using(ingest: Ingest, body: (ingest: Ingest) => Promise<void>): Promise<void> {
  try {
    await body(ingest);
  } finally {
    await close(ingest);
  }
}

const RESUME_SIZES = [500, 5000, 50_000];
const CUTS = [0, 0.1, 0.5, 0.9, 1];
const RESUMES = [
  'ResumeDiscard',
  'ResumeTruncate',
  'ResumeCopy',
  'ResumeCopySeeker',
  'ResumeCopyReaderAt',
] as const;

/** The bytes from the offset on, from a source of the kind that containerd's case of that name copies from. */
async function* restOf(
  how: (typeof RESUMES)[number],
  content: ContentStore,
  bytes: Uint8Array,
  offset: number,
): AsyncGenerator<Uint8Array> {
  if (how === 'ResumeCopy' || how === 'ResumeCopySeeker') {
    const digest = digestOf(bytes);
    await put(content, `source of ${how}-${bytes.length}-${offset}`, bytes);
    const isSeeker = how === 'ResumeCopySeeker';
    let left = isSeeker ? 0 : offset;
    for await (const chunk of await content.open(digest, isSeeker ? { offset } : {})) {
      yield chunk.subarray(Math.min(left, chunk.length));
      left -= Math.min(left, chunk.length);
    }
    // The bytes are to come by the resumed ingest.
    await content.delete(digest);
  } else {
    const step = how === 'ResumeCopyReaderAt' ? 777 : bytes.length;
    for (let at = offset; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
  }
}

export function contentSuite(
  name: string,
  make: () => Promise<StoreUnderTest>,
  skip: string | false = false,
  departures: Departures = {},
): void {
  const check = (
    title: string,
    body: (content: ContentStore, store: StoreUnderTest) => Promise<void>,
  ): void => {
    test(`content/${name}: ${title}`, { skip: skip || (departures[title] ?? false) }, async () => {
      const store = await make();
      try {
        await body((await store.open('testsuite')).content, store);
      } finally {
        await store.done();
      }
    });
  };

  check('Writer: five at once, with all that may be known of a blob', async (content) => {
    const sizes = [100, 5000, 5 << 20, 1, 32 << 10];
    const blobs = sizes.map(someBytes);
    const wants = blobs.map((bytes, i) => ({
      ...(i % 2 === 1 ? { size: bytes.length } : {}),
      ...(i >= 2 ? { digest: digestOf(bytes) } : {}),
    }));
    const before = Date.now();
    const open = await Promise.all(wants.map((want, i) => content.ingest(`ref-${i}`, want)));
    await Promise.all(
      open.map(async (ingest, i) => {
        const bytes = blobs[i] ?? new Uint8Array();
        const step = i === 2 ? 1 << 18 : 3200;
        for (let at = 0; at < bytes.length; at += step) await ingest.write(bytes.subarray(at, at + step));
        assert.equal(ingest.offset, bytes.length);
        assert.equal(await ingest.commit({ labels: { index: String(i) } }), digestOf(bytes));
        await close(ingest);
      }),
    );
    const after = Date.now();
    for (const [i, bytes] of blobs.entries()) {
      const info = await content.info(digestOf(bytes));
      assert.equal(info.size, bytes.length);
      assert.deepEqual(info.labels, { index: String(i) });
      for (const at of [info.createdAt, info.updatedAt]) assert.ok(at >= before && at <= after);
      assert.deepEqual(await collectStream(await content.open(info.digest)), bytes);
    }
    assert.equal((await content.list()).length, blobs.length);
    assert.deepEqual(await content.listStatuses(), []);
  });

  check('verify: true for bytes that are right, NotFound for a digest that is not there', async (content) => {
    const bytes = someBytes(3 << 20);
    await put(content, 'verified', bytes);
    assert.equal(await content.verify(digestOf(bytes)), true);
    await rejectsWith('NotFound', content.verify(digestOf(bytesOf('absent'))));
  });

  check('UpdateStatus: ref, offset, total and times while writing', async (content) => {
    const bytes = someBytes(256);
    const digest = digestOf(bytes);
    const before = Date.now();
    const ingest = await content.ingest('updatestatus', { digest, size: 256 });
    const opened = Date.now();
    let at = 0;
    for (const end of [0, 64, 192, 256]) {
      if (end > at) await ingest.write(bytes.subarray(at, end));
      at = end;
      const status = await content.status('updatestatus');
      assert.equal(status.ref, 'updatestatus');
      assert.equal(status.offset, end);
      assert.equal(status.total, 256);
      assert.equal(status.expected, digest);
      assert.ok(status.startedAt >= before && status.startedAt <= opened);
      assert.ok(status.updatedAt >= status.startedAt && status.updatedAt <= Date.now());
    }
    await ingest.commit();
    assert.equal((await content.info(digest)).size, 256);
    await rejectsWith('NotFound', content.status('updatestatus'));
  });

  check('CommitExists: the same bytes under another ref are the same blob', async (content) => {
    const bytes = someBytes(256);
    await put(content, 'commit-1', bytes);
    for (const ref of ['commit-2', 'commit-3']) {
      const ingest = await content.ingest(ref, {});
      await ingest.write(bytes);
      assert.equal(await ingest.commit({ labels: { [ref]: 'x', all: ref } }), digestOf(bytes));
      await close(ingest);
      await rejectsWith('NotFound', content.status(ref));
    }
    const labels = { all: 'commit-2', 'commit-2': 'x', 'commit-3': 'x' };
    assert.deepEqual((await content.info(digestOf(bytes))).labels, labels);
    await rejectsWith('AlreadyExists', content.ingest('commit-4', { digest: digestOf(bytes) }));
  });

  check('Resume: offset, total and both times are those of the first writer', async (content) => {
    const bytes = someBytes(256);
    const want = { digest: digestOf(bytes), size: 256 };
    await using(await content.ingest('resume', want), (ingest) => ingest.write(bytes.subarray(0, 128)));
    const first = await content.status('resume');
    await using(await content.ingest('resume', want), async (ingest) => {
      assert.equal(ingest.offset, 128);
      const status = await content.status('resume');
      assert.equal(status.total, 256);
      assert.equal(status.startedAt, first.startedAt);
      await ingest.write(bytes.subarray(128));
      await ingest.commit();
    });
    assert.deepEqual(await collectStream(await content.open(want.digest)), bytes);
  });

  for (const how of RESUMES) {
    check(`${how}: at every cut of every size`, async (content) => {
      for (const size of RESUME_SIZES) {
        for (const cut of CUTS) {
          const bytes = someBytes(size);
          const part = Math.floor(size * cut);
          const ref = `${how}-${size}-${cut}`;
          await using(await content.ingest(ref, { size }), (ingest) => ingest.write(bytes.subarray(0, part)));
          await using(await content.ingest(ref, { size, digest: digestOf(bytes) }), async (ingest) => {
            assert.equal(ingest.offset, part);
            if (how === 'ResumeTruncate') await ingest.reset();
            for await (const piece of restOf(how, content, bytes, ingest.offset)) await ingest.write(piece);
            assert.equal(await ingest.commit(), digestOf(bytes));
          });
        }
      }
    });
  }

  check('SmallBlob, and reading from an offset', async (content) => {
    await put(content, 'small', bytesOf('foobar'));
    const digest = digestOf(bytesOf('foobar'));
    assert.deepEqual(await collectStream(await content.open(digest)), bytesOf('foobar'));
    assert.deepEqual(await collectStream(await content.open(digest, { offset: 3 })), bytesOf('bar'));
    assert.deepEqual(await collectStream(await content.open(digest, { offset: 6 })), new Uint8Array());
    await rejectsWith('OutOfRange', content.open(digest, { offset: 7 }));
    await rejectsWith('NotFound', content.open(digestOf(bytesOf('other'))));
  });

  check('an empty blob is a blob', async (content) => {
    await put(content, 'empty', new Uint8Array());
    const digest = digestOf(new Uint8Array());
    assert.equal((await content.info(digest)).size, 0);
    assert.equal((await collectStream(await content.open(digest))).length, 0);
  });

  check('Labels: set, kept, removed by an empty value; at most 4096 bytes', async (content) => {
    const bytes = someBytes(100);
    const digest = digestOf(bytes);
    const ingest = await content.ingest('labels', {});
    await ingest.write(bytes);
    await rejectsWith('InvalidArgument', ingest.commit({ labels: { k: 'x'.repeat(4096) } }));
    await ingest.commit({ labels: { k1: 'v1', k2: 'v2' } });
    const before = await content.info(digest);
    const after = await content.label(digest, { k2: '', k3: 'v3' });
    assert.deepEqual(after.labels, { k1: 'v1', k3: 'v3' });
    assert.equal(after.createdAt, before.createdAt);
    assert.ok(after.updatedAt >= before.updatedAt);
    await content.label(digest, { k: 'x'.repeat(4095) });
    const err = await rejectsWith('InvalidArgument', content.label(digest, { k: 'ü'.repeat(2048) }));
    assert.match(
      String(err),
      /label key and value length \(4097 bytes\) greater than maximum size \(4096 bytes\), key: k/,
    );
    await rejectsWith('NotFound', content.label(digestOf(bytesOf('other')), { a: 'b' }));
  });

  check('CommitErrorState: a failed commit keeps the bytes and the ref', async (content) => {
    const bytes = someBytes(256);
    const digest = digestOf(bytes);
    const wrong = digestOf(bytesOf('wrong'));
    const ingest = await content.ingest('errors', {});
    const busy = await rejectsWith('Unavailable', content.ingest('errors', {}));
    assert.ok(reasonOf(busy, 'busy'));
    await rejectsWith('Unavailable', content.abort('errors'));
    await ingest.write(bytes);
    const mismatch = await rejectsWith('DataLoss', ingest.commit({ digest: wrong }));
    assert.match(String(mismatch), new RegExp(`unexpected commit digest ${digest}, expected ${wrong}`));
    await close(ingest);
    await using(await content.ingest('errors', {}), async (again) => {
      assert.equal(again.offset, 256);
      const size = await rejectsWith('DataLoss', again.commit({ size: 257 }));
      assert.match(String(size), /unexpected commit size 256, expected 257/);
      assert.equal(await again.commit({ size: 256, digest }), digest);
    });
    await using(await content.ingest('errors', {}), async (fresh) => assert.equal(fresh.offset, 0));
  });

  check('after a wrong digest, reset and write again commits', async (content) => {
    const bytes = someBytes(1000);
    await using(await content.ingest('again', { digest: digestOf(bytes), size: 1000 }), async (ingest) => {
      await ingest.write(someBytes(1000));
      await rejectsWith('DataLoss', ingest.commit());
      await rejectsWith('FailedPrecondition', ingest.write(bytesOf('x')));
      await ingest.reset();
      assert.equal(ingest.offset, 0);
      await ingest.write(bytes);
      await ingest.commit();
    });
  });

  check('not a byte beyond the wanted size is kept', async (content) => {
    const bytes = someBytes(10);
    await using(await content.ingest('long', { digest: digestOf(bytes), size: 10 }), async (ingest) => {
      await ingest.write(bytes.subarray(0, 9));
      await rejectsWith('DataLoss', ingest.write(someBytes(2)));
      assert.equal((await content.status('long')).offset, 9);
      await ingest.write(bytes.subarray(9));
      await ingest.commit();
    });
  });

  check('a digest with another size than its blob has is not taken for it', async (content) => {
    const bytes = someBytes(10);
    await put(content, 'ten', bytes);
    await using(await content.ingest('nine', { digest: digestOf(bytes), size: 9 }), async (ingest) => {
      await rejectsWith('DataLoss', ingest.write(bytes));
    });
    await content.abort('nine');
    assert.equal((await content.info(digestOf(bytes))).size, 10);
  });

  check('sha256, sha384 and sha512', async (content) => {
    for (const algorithm of ['sha256', 'sha384', 'sha512'] as const) {
      const bytes = someBytes(300);
      const digest = digestOf(bytes, algorithm);
      await using(await content.ingest(algorithm, { digest }), async (ingest) => {
        await ingest.write(bytes);
        assert.equal(await ingest.commit(), digest);
      });
      assert.deepEqual(await collectStream(await content.open(digest)), bytes);
    }
  });

  check('a closed or committed writer takes no more', async (content) => {
    const ingest = await content.ingest('closed', {});
    await close(ingest);
    await close(ingest);
    await rejectsWith('FailedPrecondition', ingest.write(bytesOf('x')));
    await rejectsWith('FailedPrecondition', ingest.commit());
  });

  check('status, abort and delete of what is not there; bad arguments', async (content) => {
    await rejectsWith('NotFound', content.status('none'));
    await rejectsWith('NotFound', content.abort('none'));
    await rejectsWith('NotFound', content.delete(digestOf(bytesOf('none'))));
    await rejectsWith('InvalidArgument', content.ingest('', {}));
    await rejectsWith('InvalidArgument', content.info('sha256:../../etc/passwd' as never));
    await rejectsWith('InvalidArgument', content.ingest('x', { digest: 'md5:00' as never }));
    await rejectsWith('NotFound', content.ingest('x', {}, { lease: 'none' }));
  });

  check('abort drops what was written', async (content) => {
    await using(await content.ingest('dropped', {}), (ingest) => ingest.write(bytesOf('abc')));
    assert.deepEqual(
      (await content.listStatuses()).map((status) => [status.ref, status.offset]),
      [['dropped', 3]],
    );
    await content.abort('dropped');
    await rejectsWith('NotFound', content.status('dropped'));
    await using(await content.ingest('dropped', {}), async (ingest) => assert.equal(ingest.offset, 0));
  });

  check('an aborted signal stops each call', async (content) => {
    const call = { signal: AbortSignal.abort() };
    const digest = digestOf(bytesOf('x'));
    await rejectsWith('Canceled', content.ingest('signal', {}, call));
    await rejectsWith('Canceled', content.info(digest, call));
    await rejectsWith('Canceled', content.list(call));
    await using(await content.ingest('signal', {}), async (ingest) => {
      await rejectsWith('Canceled', ingest.write(bytesOf('x'), call));
      assert.equal(ingest.offset, 0);
      await rejectsWith('Canceled', ingest.commit(call));
      await ingest.write(bytesOf('x'));
      await ingest.commit();
    });
    const stop = new AbortController();
    const reader = (await content.open(digest, { signal: stop.signal })).getReader();
    stop.abort();
    await rejectsWith('Canceled', reader.read());
  });

  check(
    'CrossNamespaceShare: another namespace shares at once, each deletes for itself',
    async (content, store) => {
      const bytes = someBytes(2000);
      const digest = digestOf(bytes);
      await put(content, 'shared', bytes);
      const other = (await store.open('testsuite-2')).content;
      await rejectsWith('NotFound', other.info(digest));
      await rejectsWith('AlreadyExists', other.ingest('shared', { digest, size: 2000 }));
      assert.deepEqual(await collectStream(await other.open(digest)), bytes);
      await content.delete(digest);
      await rejectsWith('NotFound', content.open(digest));
      assert.deepEqual(await collectStream(await other.open(digest)), bytes);
    },
  );

  check(
    'CrossNamespaceAppend: more bytes in another namespace leave the blob as it is',
    async (content, store) => {
      const bytes = someBytes(2000);
      const digest = digestOf(bytes);
      await put(content, 'shared', bytes);
      const other = (await store.open('testsuite-2')).content;
      const longer = new Uint8Array([...bytes, 1, 2, 3]);
      await using(await other.ingest('longer', { size: longer.length }), async (ingest) => {
        await ingest.write(longer);
        assert.equal(await ingest.commit(), digestOf(longer));
      });
      await rejectsWith('NotFound', content.info(digestOf(longer)));
      assert.deepEqual(await collectStream(await content.open(digest)), bytes);
      assert.deepEqual(await collectStream(await other.open(digestOf(longer))), longer);
    },
  );

  check(
    'CrossNamespaceIsolate: isolated, a namespace gets a blob by its bytes only',
    async (content, store) => {
      const bytes = someBytes(2000);
      const want = { digest: digestOf(bytes), size: bytes.length };
      await put(content, 'shared', bytes);
      const other = (await store.open('testsuite-2', 'isolated')).content;
      await using(await other.ingest('isolated', want), async (ingest) => {
        assert.equal(ingest.offset, 0);
        await rejectsWith('NotFound', other.info(want.digest));
        await ingest.write(bytes);
        await ingest.commit();
      });
      assert.equal((await other.info(want.digest)).size, bytes.length);
    },
  );

  check(
    'SharedNamespaceIsolate: isolated, a namespace that is labelled shareable shares all the same',
    async (content, store) => {
      const bytes = someBytes(2000);
      const want = { digest: digestOf(bytes), size: bytes.length };
      await put(content, 'shared', bytes);
      const shareable = { 'containerd.io/namespace.shareable': 'true' };
      const { namespace, namespaceStore } = await store.open('testsuite');
      await namespaceStore.label(namespace, shareable);
      const other = (await store.open('testsuite-2', 'isolated')).content;
      await rejectsWith('AlreadyExists', other.ingest('shareable', want));
      assert.deepEqual(await collectStream(await other.open(want.digest)), bytes);
      await namespaceStore.label(namespace, { 'containerd.io/namespace.shareable': '' });
      const third = (await store.open('testsuite-3', 'isolated')).content;
      await other.delete(want.digest);
      await using(await third.ingest('shareable', want), async ({ offset }) => assert.equal(offset, 0));
    },
  );

  check('one ref in two namespaces is two ingests', async (content, store) => {
    const other = (await store.open('testsuite-2')).content;
    const mine = await content.ingest('same', {});
    const theirs = await other.ingest('same', {});
    await mine.write(bytesOf('mine'));
    assert.equal((await other.status('same')).offset, 0);
    await close(mine);
    await close(theirs);
  });

  check('of many that open one ref at once, one gets it', async (content) => {
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => content.ingest('race', {})));
    const won = tries.filter((one) => one.status === 'fulfilled');
    assert.equal(won.length, 1);
    for (const one of tries) if (one.status === 'rejected') assert.ok(isKind(one.reason, 'Unavailable'));
    for (const one of won) await close(one.value);
  });
}
