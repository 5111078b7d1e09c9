import { onAbort } from '../../core/async/abort.ts';
import type { Clock } from '../../core/ports/clock.ts';

/** Milliseconds of the longest timer; a longer one fires at once. */
const LONGEST = 2 ** 31 - 1;

export function createClock(): Clock {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    async sleep(ms, signal) {
      const end = performance.now() + ms;
      for (let left = ms; ; left = end - performance.now()) {
        await wait(Math.min(Math.max(left, 0), LONGEST), signal);
        if (left <= LONGEST) return;
      }
    },
  };
}

function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(() => {
      stopListening();
      resolve();
    }, ms);
    const stopListening = onAbort(signal, () => {
      clearTimeout(timer);
      reject(signal?.reason);
    });
  });
}
