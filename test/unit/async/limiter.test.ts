import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Limiter } from '../../../src/core/async/limiter.ts';
import { allOrAbort } from '../../../src/core/async/settle.ts';
import { HawserError, kindOf } from '../../../src/core/errors.ts';

const tick = (): Promise<void> => new Promise((done) => setTimeout(done, 1));

test('at most the limit run at once, all get their turn, in order', async () => {
  const limiter = new Limiter(3);
  let running = 0;
  let peak = 0;
  const order: number[] = [];
  const work = (i: number) =>
    limiter.run(undefined, async () => {
      order.push(i);
      peak = Math.max(peak, ++running);
      await tick();
      running--;
    });
  await Promise.all(Array.from({ length: 20 }, (_, i) => work(i)));
  assert.equal(peak, 3);
  assert.deepEqual(order, [...Array(20).keys()]);
});

test('a holder that lends its slot while its children run does not deadlock at limit 1', async () => {
  const limiter = new Limiter(1);
  const seen: string[] = [];
  const visit = (name: string, depth: number): Promise<void> =>
    limiter.run(undefined, async (slot) => {
      seen.push(name);
      if (depth > 0)
        await slot.lend(
          async () => void (await Promise.all([visit(`${name}0`, depth - 1), visit(`${name}1`, depth - 1)])),
        );
    });
  await visit('r', 3);
  assert.equal(seen.length, 15);
});

test('an abort while waiting rejects with the reason and gives nothing away', async () => {
  const limiter = new Limiter(1);
  const stop = new AbortController();
  let release = (): void => {};
  const held = limiter.run(undefined, () => new Promise<void>((done) => (release = done)));
  const waiting = limiter.run(stop.signal, async () => assert.fail('must not run'));
  stop.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  release();
  await held;
  assert.equal(await limiter.run(undefined, async () => 7), 7);
});

test('a body that throws gives its slot back, also after lending', async () => {
  const limiter = new Limiter(1);
  await assert.rejects(
    limiter.run(undefined, async () => Promise.reject(new Error('a'))),
    /a/,
  );
  await assert.rejects(
    limiter.run(undefined, async (slot) => slot.lend(async () => Promise.reject(new Error('b')))),
    /b/,
  );
  const result = await Promise.all([1, 2].map((n) => limiter.run(undefined, async () => n)));
  assert.deepEqual(result, [1, 2]);
});

test('allOrAbort throws the first cause only after all have ended, and aborts the others', async () => {
  const ended: string[] = [];
  const first = new HawserError('NotFound', 'first cause');
  const run = allOrAbort(['slow', 'bad'], undefined, async (name, signal) => {
    if (name === 'bad') throw first;
    while (!signal.aborted) await tick();
    await tick();
    ended.push(name);
    // What is absent for one item is no answer to another.
    assert.equal(kindOf(signal.reason), 'Canceled');
    assert.equal(signal.reason.cause, first);
    ended.push('checked');
    throw new Error('second cause');
  });
  await assert.rejects(run, (err) => err === first);
  assert.deepEqual(ended, ['slow', 'checked']);
});

test('of those that wait the heaviest is next, then the first come', async () => {
  const limiter = new Limiter(1);
  const order: string[] = [];
  const work = (name: string, weight?: number) =>
    limiter.run(
      undefined,
      async () => {
        order.push(name);
        await tick();
      },
      weight,
    );
  await Promise.all([
    work('holder'),
    work('light', 1),
    work('heavy', 9),
    work('none'),
    work('as heavy', 9),
    work('middle', 5),
  ]);
  assert.deepEqual(order, ['holder', 'heavy', 'as heavy', 'middle', 'light', 'none']);
});
