import assert from 'node:assert/strict';
import { test } from 'node:test';
import { polledSignal } from '../../../src/core/layers/polled-signal.ts';

test('a polled signal tells synchronous work, and those who wait for the event', () => {
  let flag = false;
  const reason = new Error('why');
  const { signal, abort } = polledSignal(
    () => flag,
    () => reason,
  );
  let events = 0;
  signal.addEventListener('abort', () => events++);
  signal.throwIfAborted();
  assert.equal(signal.aborted, false);
  flag = true;
  assert.throws(
    () => signal.throwIfAborted(),
    (err) => err === reason,
  );
  assert.equal(signal.aborted, true);
  abort();
  assert.equal(events, 1);
  assert.equal(AbortSignal.any([signal]).reason, reason);
});
