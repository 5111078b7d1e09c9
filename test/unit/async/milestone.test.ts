import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Milestone, reached } from '../../../src/core/async/milestone.ts';

const signal = new AbortController().signal;

test('a milestone lets all who wait go on once it is reached, and those who come later', async () => {
  const milestone = new Milestone();
  const gone: number[] = [];
  const waiting = [1, 2].map(async (n) => {
    await milestone.wait(signal);
    gone.push(n);
  });
  await Promise.resolve();
  assert.deepEqual([milestone.isReached, gone], [false, []]);
  milestone.reach();
  milestone.reach();
  await Promise.all(waiting);
  await milestone.wait(signal);
  await reached().wait(signal);
  assert.deepEqual([milestone.isReached, gone], [true, [1, 2]]);
});

test('who waits for a milestone leaves with the reason of the signal, before or meanwhile; the others stay', async () => {
  const milestone = new Milestone();
  const stop = new AbortController();
  const leaving = milestone.wait(stop.signal);
  const staying = milestone.wait(signal);
  stop.abort(new Error('enough'));
  await assert.rejects(leaving, /enough/);
  await assert.rejects(milestone.wait(stop.signal), /enough/);
  milestone.reach();
  await staying;
  await assert.rejects(milestone.wait(stop.signal), /enough/);
});
