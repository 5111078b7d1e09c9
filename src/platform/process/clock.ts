import { onAbort } from '../../core/async/abort.ts';
import { LONGEST_TIMER, startTimer } from '../../core/async/timer.ts';
import type { Clock } from '../../core/ports/clock.ts';

/** `monotonic`: milliseconds that are never set back, for programs that have something better than `performance`. */
export function createClock(monotonic: () => number = () => performance.now()): Clock {
  return {
    now: () => Date.now(),
    monotonic,
    async sleep(ms, signal) {
      const end = monotonic() + ms;
      for (let left = ms; ; left = end - monotonic()) {
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
