import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteStream, firstOf, type Pulls, streamOf } from '../../../src/core/async/byte-stream.ts';

const turn = () => new Promise((resolve) => setTimeout(resolve));
const chunk = (byte: number) => Uint8Array.of(byte);

async function read(stream: ReadableStream<Uint8Array>): Promise<number[]> {
  const out: number[] = [];
  for await (const bytes of stream) out.push(...bytes);
  return out;
}

/** Pulls that give `count` chunks and note what is called. */
function noting(count: number, more: Partial<Pulls> = {}): { pulls: Pulls; calls: string[] } {
  const calls: string[] = [];
  let given = 0;
  const pulls: Pulls = {
    next: async () => {
      calls.push('next');
      return given < count ? chunk(given++) : undefined;
    },
    cancel: (reason) => void calls.push(`cancel ${(reason as Error).message}`),
    close: () => void calls.push('close'),
    ...more,
  };
  return { pulls, calls };
}

test('the chunks come in order, and close is called once at the end', async () => {
  const { pulls, calls } = noting(2);
  assert.deepEqual(await read(byteStream(pulls)), [0, 1]);
  assert.deepEqual(calls, ['next', 'next', 'next', 'close']);
});

test('nothing is asked for before the reader wants it, unless chunks ahead are allowed', async () => {
  const lazy = noting(2);
  byteStream(lazy.pulls);
  const eager = noting(2, { ahead: 1 });
  byteStream(eager.pulls);
  await turn();
  assert.deepEqual([lazy.calls, eager.calls], [[], ['next']]);
});

test('a failure is the error of the stream, after close, which is called once and cannot hide it', async () => {
  const { pulls, calls } = noting(0, { next: () => Promise.reject(new Error('broken')) });
  await assert.rejects(read(byteStream(pulls)), /broken/);
  assert.deepEqual(calls, ['close']);
  const close = () => Promise.reject(new Error('close'));
  await assert.rejects(read(byteStream({ ...pulls, close })), /broken/);
  await assert.rejects(read(byteStream({ ...noting(0).pulls, close })), /close/);
});

test('a cancel ends the call that runs, and close comes after that call', async () => {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const { pulls, calls } = noting(0, { next: () => promise });
  const cancel = (reason: unknown) => {
    calls.push(`cancel ${(reason as Error).message}`);
    setTimeout(() => {
      calls.push('ended');
      resolve(undefined);
    });
  };
  const reader = byteStream({ ...pulls, cancel }).getReader();
  const reading = reader.read();
  await turn();
  await reader.cancel(new Error('enough'));
  assert.deepEqual(calls, ['cancel enough', 'ended', 'close']);
  assert.deepEqual(await reading, { done: true, value: undefined });
});

test('an abort errors the stream at once with its reason, and closes once', async () => {
  const stop = new AbortController();
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const { pulls, calls } = noting(0, { next: () => promise, signal: stop.signal });
  const reading = byteStream(pulls).getReader().read();
  reading.catch(() => {});
  await turn();
  stop.abort(new Error('aborted'));
  await assert.rejects(reading, /aborted/);
  assert.deepEqual(calls, ['cancel aborted']);
  resolve(undefined);
  await turn();
  assert.deepEqual(calls, ['cancel aborted', 'close']);
});

test('a signal that has aborted before lets nothing be read', async () => {
  const { pulls, calls } = noting(1, { signal: AbortSignal.abort(new Error('before')) });
  await assert.rejects(read(byteStream(pulls)), /before/);
  await turn();
  assert.deepEqual(calls, ['cancel before', 'close']);
});

test('bytes at hand are a stream too, and none are an empty one', async () => {
  assert.deepEqual(await read(streamOf(Uint8Array.of(1, 2))), [1, 2]);
  assert.deepEqual(await read(streamOf(new Uint8Array())), []);
});

test('a cancel of the first bytes ends the read that runs', async () => {
  const cancelled: unknown[] = [];
  const silent = new ReadableStream<Uint8Array>({
    cancel: (reason) => void cancelled.push(reason),
  });
  const reader = firstOf(silent, 3).getReader();
  const read = reader.read();
  await reader.cancel('enough');
  assert.equal((await read).done, true);
  assert.deepEqual(cancelled, ['enough']);
});
