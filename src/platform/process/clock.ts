import { onAbort } from '../../core/async/abort.ts';
import { LONGEST_TIMER, startTimer } from '../../core/async/timer.ts';
import type { Clock } from '../../core/ports/clock.ts';

export function createClock(): Clock {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    async sleep(ms, signal) {
      const end = performance.now() + ms;
      for (let left = ms; ; left = end - performance.now()) {
        await wait(Math.max(left, 0), signal);
        if (left <= LONGEST_TIMER) return;
      }
    },
  };
}

function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = startTimer(ms, () => {
      stopListening();
      resolve();
    });
    const stopListening = onAbort(signal, () => {
      clearTimeout(timer);
      reject(signal?.reason);
    });
  });
}
