/** What every clock must do. Nothing here depends on how fast the machine is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../src/core/ports/clock.ts';

export function clockSuite(name: string, clock: Clock): void {
  test(`clock/${name}: now is the time of day in milliseconds`, () => {
    const before = Date.now();
    const now = clock.now();
    assert.ok(now >= before && now <= Date.now());
  });
  test(`clock/${name}: monotonic never goes back, and sleeping takes its time`, async () => {
    let last = clock.monotonic();
    for (let i = 0; i < 1000; i++) {
      const next = clock.monotonic();
      assert.ok(next >= last);
      last = next;
    }
    await clock.sleep(20);
    // Timers may fire a little early by this clock.
    assert.ok(clock.monotonic() - last > 15);
  });
  test(`clock/${name}: sleeping no time, or less than none, ends`, async () => {
    await clock.sleep(0);
    await clock.sleep(-5);
  });
  test(`clock/${name}: an abort ends a sleep with its reason, however long`, async () => {
    for (const ms of [60_000, 2 ** 40]) {
      const stop = new AbortController();
      const sleeping = clock.sleep(ms, stop.signal);
      const reason = new Error(`no ${ms}`);
      setTimeout(() => stop.abort(reason), 1);
      await assert.rejects(sleeping, (err) => err === reason);
    }
  });
  test(`clock/${name}: a signal aborted before means no sleep`, async () => {
    const reason = new Error('before');
    await assert.rejects(clock.sleep(60_000, AbortSignal.abort(reason)), (err) => err === reason);
  });
  test(`clock/${name}: a sleep leaves no listener on its signal`, async () => {
    let listeners = 0;
    const { signal } = new AbortController();
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners++;
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners--;
      removeEventListener.apply(signal, args);
    };
    for (let i = 0; i < 5; i++) await clock.sleep(1, signal);
    assert.equal(listeners, 0);
  });
}
