import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gauge } from '../../../src/core/async/gauge.ts';

test('waiters are woken when enough is good, through the shared memory alone', async () => {
  const writer = new Gauge();
  const reader = new Gauge(structuredClone(writer.buffer));
  let reached = false;
  const waiting = reader.reach(10).then(() => {
    reached = true;
  });
  writer.grow(9);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(reached, false);
  writer.grow(2 ** 40);
  await waiting;
  assert.equal(reader.length, 2 ** 40);
  await reader.reach(5);
});

test('a restart wakes all, and stays', async () => {
  const gauge = new Gauge();
  const waiting = Promise.all([gauge.reach(1), gauge.reach(2 ** 33)]);
  gauge.restart();
  await waiting;
  assert.ok(gauge.restarted && new Gauge(gauge.buffer).restarted);
  await gauge.reach(1);
});

test('waiting ends with the signal, before and during', async () => {
  const gauge = new Gauge();
  const stop = new AbortController();
  const waiting = gauge.reach(1, stop.signal);
  stop.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(gauge.reach(1, stop.signal), /enough/);
});
