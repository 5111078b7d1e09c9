import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linkAbort, onAbort, orAborted } from '../../../src/core/async/abort.ts';

test('a listener is called once: at the abort, or at once when the signal has aborted', () => {
  let calls = 0;
  const stop = new AbortController();
  onAbort(stop.signal, () => calls++);
  stop.abort();
  stop.signal.dispatchEvent(new Event('abort'));
  assert.equal(calls, 1);
  onAbort(stop.signal, () => calls++);
  assert.equal(calls, 2);
  onAbort(undefined, () => calls++)();
  assert.equal(calls, 2);
});

test('a listener that was taken away is not called', () => {
  const stop = new AbortController();
  onAbort(stop.signal, () => assert.fail('called'))();
  stop.abort();
});

test('a linked controller aborts with the reason of its parent until the link is undone', () => {
  const reason = new Error('enough');
  const [parent, child, free] = [new AbortController(), new AbortController(), new AbortController()];
  linkAbort(parent.signal, child);
  linkAbort(parent.signal, free)();
  parent.abort(reason);
  assert.equal(child.signal.reason, reason);
  assert.equal(free.signal.aborted, false);
  const late = new AbortController();
  linkAbort(parent.signal, late);
  assert.equal(late.signal.reason, reason);
});

test('orAborted settles as the work does, or rejects with the reason while the work goes on', async () => {
  const stop = new AbortController();
  assert.equal(await orAborted(Promise.resolve(1), stop.signal), 1);
  await assert.rejects(orAborted(Promise.reject(new Error('failed')), stop.signal), /failed/);
  const { promise, reject } = Promise.withResolvers<void>();
  const waiting = orAborted(promise, stop.signal);
  stop.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  // Heard, though nobody waits for the work any more: an unhandled rejection would fail this file.
  reject(new Error('late'));
  await assert.rejects(orAborted(Promise.resolve(1), stop.signal), /enough/);
});
