import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../../../src/core/async/within.ts';
import { HawserError } from '../../../src/core/errors.ts';

const late = new HawserError('DeadlineExceeded', 'late');
/** Milliseconds slept, and whether the sleep was ended early. */
function limit(milliseconds: number) {
  const ended: boolean[] = [];
  const clock = {
    now: () => 0,
    monotonic: () => 0,
    sleep: async (ms: number, signal?: AbortSignal) => {
      await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch((err) => {
        ended.push(true);
        throw err;
      });
    },
  };
  return { clock, milliseconds, late, ended };
}

/** Never ends by itself. */
const stuck = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

test('work that takes too long is aborted with the reason given, as by the caller', async () => {
  await assert.rejects(within(limit(5), undefined, stuck), late);
  const caller = new AbortController();
  const waiting = within(limit(60_000), caller.signal, stuck);
  caller.abort(new Error('gone'));
  await assert.rejects(waiting, /gone/);
});

test('work that ends in time leaves no timer behind, nor does work that fails', async () => {
  const one = limit(60_000);
  assert.equal(await within(one, undefined, async () => 7), 7);
  await assert.rejects(
    within(one, undefined, async () => {
      throw new Error('broken');
    }),
    /broken/,
  );
  await sleep(1);
  assert.deepEqual(one.ended, [true, true]);
});
