/** A containerd that takes long is waited for; one that answers nothing is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ContainerdContent } from '../../../src/backends/containerd/content.ts';
import type { Patience } from '../../../src/backends/containerd/liveness.ts';
import { isKind } from '../../../src/core/errors.ts';
import { createHashers } from '../../../src/platform/codecs/hashers.ts';
import { failure } from '../../support/failure.ts';
import { type FakeContainerd, fakeContainerd, type Handlers } from '../../support/fake-containerd.ts';
import { bytesOf, close, digestOf } from '../../support/stores.ts';

const QUICK: Patience = { every: 20, look: 200, message: 60_000 };
const SHORT: Patience = { every: 60_000, look: 60_000, message: 200 };
const digest = digestOf(bytesOf('content'));
const VERSION = 'version.v1.Version/Version';
const USAGE = 'snapshots.v1.Snapshots/Usage';
const key = { snapshotter: 'overlayfs', key: 'k' };

async function within(
  handlers: Handlers,
  patience: Patience,
  body: (fake: FakeContainerd) => Promise<void>,
): Promise<void> {
  const fake = await fakeContainerd(handlers, patience);
  try {
    await body(fake);
  } finally {
    await fake[Symbol.asyncDispose]();
  }
}

const content = ({ connection }: FakeContainerd) => new ContainerdContent(connection, createHashers());
const never = () => undefined;

test('containerd silence: a call without a limit lasts as long as containerd answers simple questions', async () => {
  let questions = 0;
  const asked = Promise.withResolvers<void>();
  const handlers = {
    [VERSION]: () => {
      if (++questions === 5) asked.resolve();
      return {};
    },
    [USAGE]: never,
  };
  await within(handlers, { ...QUICK, look: 60_000 }, async ({ connection }) => {
    const stop = new AbortController();
    const usage = failure(connection.call(USAGE, key, { deadline: 0, signal: stop.signal }));
    const first = await Promise.race([usage, asked.promise]);
    assert.equal(first, undefined);
    stop.abort(new Error('enough'));
    assert.equal((await usage).message, 'enough');
    const before = questions;
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(questions <= before + 1, 'nothing is asked when no call runs');
  });
});

test('containerd: a connection that has been closed takes no call, read or write', async () => {
  await within({ [VERSION]: () => ({}) }, QUICK, async (fake) => {
    const { connection } = fake;
    connection.close();
    const failures = [
      failure(connection.call(USAGE, key)),
      failure((async () => connection.stream('content.v1.Content/List', { filters: [] }))()),
      failure((async () => connection.write(undefined))()),
      failure(content(fake).info(digest)),
    ];
    for (const err of await Promise.all(failures)) {
      assert.equal(err.message, 'The store has been closed');
      assert.ok(isKind(err, 'FailedPrecondition'));
    }
  });
});

test('containerd silence: one that does not answer at all ends calls, reads and writes, with a hint', async () => {
  const handlers = {
    [VERSION]: never,
    [USAGE]: never,
    'content.v1.Content/Read': never,
    'content.v1.Content/Write': never,
  };
  await within(handlers, QUICK, async (fake) => {
    const silent = [
      fake.connection.call(USAGE, key, { deadline: 0 }),
      content(fake).open(digest),
      content(fake).ingest('ref', { digest, size: 7 }),
    ];
    for (const err of await Promise.all(silent.map(failure))) {
      assert.ok(isKind(err, 'Unavailable'), String(err));
      assert.match(err.message, /containerd has answered nothing for 0.2 s$/);
    }
  });
});

test('containerd silence: a read or write that hangs ends, though containerd is well', async () => {
  let answers = 1;
  const handlers: Handlers = {
    [VERSION]: () => ({}),
    'content.v1.Content/Read': (call) => {
      call.write({ data: bytesOf('first') });
      return undefined;
    },
    'content.v1.Content/Write': (call) => {
      call.on('data', () => {
        if (answers-- > 0) call.write({ offset: 0 });
      });
      return undefined;
    },
  };
  await within(handlers, SHORT, async (fake) => {
    const reader = (await content(fake).open(digest)).getReader();
    await reader.read();
    const ingest = await content(fake).ingest('ref', { digest, size: 7 });
    await ingest.write(bytesOf('content'));
    for (const err of await Promise.all([failure(reader.read()), failure(ingest.commit())])) {
      assert.ok(isKind(err, 'Unavailable'), String(err));
      assert.match(err.message, /containerd has not answered for/);
    }
    await close(ingest);
  });
});
