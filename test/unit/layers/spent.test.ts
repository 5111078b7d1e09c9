import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Spent } from '../../../src/core/layers/spent.ts';

/** A clock moved by hand, from somewhere. */
function setUp() {
  const clock = { at: 1000 };
  const spent = new Spent(() => clock.at);
  const after = (ms: number, what: () => void) => {
    clock.at += ms;
    what();
  };
  return { spent, after };
}

test('each lap is its stage’s', () => {
  const { spent, after } = setUp();
  for (let chunk = 0; chunk < 2; chunk++) {
    after(5, () => spent.lap('inflate'));
    after(2, () => spent.lap('verify'));
    after(3, () => spent.lap('apply'));
  }
  assert.deepEqual(spent.times(), { wait: 0, inflate: 10, verify: 4, apply: 6 });
});

test('while the source has nothing to give, decompressing is waiting', () => {
  const { spent, after } = setUp();
  after(1, () => spent.waiting(true));
  after(6, () => spent.waiting(false));
  after(2, () => spent.waiting(true));
  after(4, () => spent.waiting(false));
  after(3, () => spent.lap('inflate'));
  assert.deepEqual(spent.times(), { wait: 10, inflate: 6, verify: 0, apply: 0 });
});

test('a source asked ahead is not waited for while other work goes on', () => {
  const { spent, after } = setUp();
  after(1, () => spent.waiting(true));
  after(1, () => spent.lap('inflate'));
  after(20, () => spent.lap('apply'));
  // The bytes were there long ago, but are taken only now.
  after(0, () => spent.waiting(false));
  after(2, () => spent.lap('inflate'));
  assert.deepEqual(spent.times(), { wait: 1, inflate: 3, verify: 0, apply: 20 });
});
