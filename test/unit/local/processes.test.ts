/** Several processes on one store: followed, taken over from, killed. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { openLocalBackend } from '../../../src/backends/local/open.ts';
import { reasonOf } from '../../../src/core/errors.ts';
import { rejectsWith } from '../../suites/content.ts';
import { isDeno } from '../../support/needs.ts';
import { repository } from '../../support/runtimes.ts';
import { close, collectStream, digestOf, withStore } from '../../support/stores.ts';

const SIZE = 3_000_000;
const bytes = new Uint8Array(SIZE).fill(7);
const digest = digestOf(bytes);
const want = { digest, size: SIZE };

interface Worker {
  readonly child: ChildProcess;
  /** The next line it prints; '' at the end. */
  line(): Promise<string>;
  ended(): Promise<void>;
}

/** A process of this runtime. */
function start(root: string, mode: 'hold' | 'finish' | 'follow'): Worker {
  const script = join(repository, 'test/support/ingest-process.ts');
  const flags = isDeno ? ['run', '-A', '--no-check', '--quiet'] : ['--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, script, root, 'ref', digest, String(SIZE), mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    line: async () => ((await lines.next()).value as string | undefined) ?? '',
    ended: () => gone,
  };
}

test('a live writer in another process is in the way, and its progress can be seen (H47)', async () => {
  await withStore(async ({ backend, root }) => {
    const other = start(root, 'hold');
    try {
      assert.equal(await other.line(), 'open 0');
      assert.equal(await other.line(), 'half');
      const err = await rejectsWith('Unavailable', backend.content.ingest('ref', want));
      assert.ok(reasonOf(err, 'busy'));
      await rejectsWith('Unavailable', backend.content.abort('ref'));
      const status = await backend.content.status('ref');
      assert.deepEqual([status.offset, status.total, status.expected], [SIZE / 2, SIZE, digest]);
      await backend.collect();
      assert.equal((await backend.content.status('ref')).offset, SIZE / 2);
    } finally {
      other.child.kill('SIGKILL');
      await other.ended();
    }
  });
});

test('what a killed process wrote is resumed, even after a collection; its lock file goes (H47)', async () => {
  await withStore(async ({ backend, root }) => {
    const other = start(root, 'hold');
    try {
      await other.line();
      await other.line();
    } finally {
      other.child.kill('SIGKILL');
      await other.ended();
    }
    assert.equal(fs.readdirSync(`${root}/run`).length, 2);
    await backend.collect();
    assert.equal(fs.readdirSync(`${root}/run`).length, 1);
    const ingest = await backend.content.ingest('ref', want);
    assert.equal(ingest.offset, SIZE / 2);
    await ingest.write(bytes.subarray(ingest.offset));
    assert.equal(await ingest.commit(), digest);
    await close(ingest);
  });
});

test('two fetch the same; the writer is killed; the follower takes over and there is one blob (H47)', async () => {
  await withStore(async ({ backend, root }) => {
    const writer = start(root, 'hold');
    let follower: Worker | undefined;
    try {
      await writer.line();
      await writer.line();
      follower = start(root, 'follow');
      const second = start(root, 'follow');
      writer.child.kill('SIGKILL');
      const said = [await follower.line(), await second.line()].sort();
      const rest = [await follower.line(), await second.line()].filter((line) => line !== '');
      await follower.ended();
      await second.ended();
      // One took over at the middle; the other waited, or found the blob.
      assert.deepEqual([...said, ...rest].sort(), ['AlreadyExists', 'done', `open ${SIZE / 2}`].sort());
    } finally {
      writer.child.kill('SIGKILL');
      await writer.ended();
    }
    assert.deepEqual(await collectStream(await backend.content.open(digest)), bytes);
    assert.deepEqual(fs.readdirSync(`${root}/content/blobs/sha256`), [digest.slice(7)]);
    assert.deepEqual(fs.readdirSync(`${root}/content/ingest`), []);
    // What the killed process leased stays until its lease's time, so an interrupted pull is not lost to a collection.
    assert.equal((await backend.collect()).blobs, 0);
  });
});

test('after a kill at any moment of a fetch the next fetch finishes it (H48)', async () => {
  await withStore(async ({ backend, root }) => {
    for (const delay of [0, 5, 15, 30]) {
      const other = start(root, 'finish');
      await other.line();
      await new Promise((resolve) => setTimeout(resolve, delay));
      other.child.kill('SIGKILL');
      await other.ended();
      const next = start(root, 'finish');
      const said = [await next.line(), await next.line()];
      await next.ended();
      assert.ok(said[0] === 'AlreadyExists' || said[1] === 'done', `after ${delay} ms: ${said}`);
      assert.deepEqual(await collectStream(await backend.content.open(digest)), bytes);
      assert.deepEqual(await backend.content.listStatuses(), []);
      await backend.content.delete(digest);
      for (const lease of await backend.leases.list()) await backend.leases.delete(lease.id);
      await backend.collect();
    }
  });
});

test('who asks for a ref that another process writes takes no turn at the database', async () => {
  await withStore(async ({ backend, open, root, runtime }) => {
    const ingest = await backend.content.ingest('ref', want);
    const follower = await open();
    const writing = runtime.databases.open(`${root}/hawser.db`, { busyTimeout: 0 });
    try {
      writing.exec('BEGIN IMMEDIATE');
      const signal = AbortSignal.timeout(2000);
      const err = await rejectsWith('Unavailable', follower.content.ingest('ref', want, { signal }));
      assert.ok(reasonOf(err, 'busy'));
    } finally {
      writing.close();
      await close(ingest);
    }
  });
});

test('content that another namespace brings is waited for, and taken over from the dead', async () => {
  await withStore(async ({ backend, root, open }) => {
    const second = await open('second');
    const other = start(root, 'hold');
    try {
      await other.line();
      await other.line();
      const err = await rejectsWith('Unavailable', second.content.ingest('ref', want));
      assert.ok(reasonOf(err, 'busy'));
      await rejectsWith('NotFound', second.content.status('ref'));
      const status = await second.content.inTheWay?.('ref', digest);
      assert.deepEqual([status?.offset, status?.total], [SIZE / 2, SIZE]);
      await close(
        await second.content.ingest('other', { digest: digestOf(bytes.subarray(1)), size: SIZE - 1 }),
      );
    } finally {
      other.child.kill('SIGKILL');
      await other.ended();
    }
    const ingest = await second.content.ingest('ref', want);
    assert.equal(ingest.offset, 0, 'the bytes of another namespace’s dead ingest are that namespace’s');
    await ingest.write(bytes);
    await ingest.commit();
    await close(ingest);
    await rejectsWith('AlreadyExists', backend.content.ingest('ref', want));
  });
});

test('where content is not shared, each namespace brings its own bytes', async () => {
  await withStore(async ({ backend, root, runtime }) => {
    const ingest = await backend.content.ingest('ref', want);
    const opts = { root, namespace: 'second', contentSharing: 'isolated' } as const;
    const isolated = await openLocalBackend(runtime, opts);
    try {
      const own = await isolated.content.ingest('ref', want);
      await rejectsWith('Unavailable', isolated.content.ingest('ref', want));
      await close(own);
    } finally {
      await isolated[Symbol.asyncDispose]();
    }
    await close(ingest);
  });
});
