import { HawserError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { HostSystem } from '../../core/ports/host.ts';
import { duration } from '../render/units.ts';

const CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Milliseconds after which the user is told that cleaning up goes on. */
const TOLD_AFTER = 1000;
/** Milliseconds that cleaning up may take: twice the limit of each of its steps (`cleanupSignal`), and then some. */
const CLEANUP_LIMIT = 30_000;

export interface Interruption extends Disposable {
  readonly signal: AbortSignal;
  /** 128 plus the number of the first signal; undefined before one came. */
  code(): number | undefined;
  /** Resolves with the exit code when the process should end at once: at the second signal, or when cleaning up takes too long. */
  readonly again: Promise<number>;
}

/** Aborts `signal` at the first SIGINT, SIGTERM or SIGHUP, and after `timeout` milliseconds (0: no limit). */
export function listen(host: HostSystem, clock: Clock, timeout: number): Interruption {
  const work = new AbortController();
  const timer = new AbortController();
  let code: number | undefined;
  let giveUp: (code: number) => void = () => {};
  const again = new Promise<number>((resolve) => {
    giveUp = resolve;
  });
  const after = (ms: number, then: () => void) => void clock.sleep(ms, timer.signal).then(then, () => {});
  const stop = (reason: HawserError) => {
    if (work.signal.aborted) return;
    work.abort(reason);
    const told = `hawser: ${reason.message}; cleaning up, for ${duration(CLEANUP_LIMIT)} at most (Ctrl-C ends it at once)\n`;
    after(TOLD_AFTER, () => void host.stderr.write(told).catch(() => {}));
    after(CLEANUP_LIMIT, () => giveUp(code ?? 1));
  };
  const subscription = host.onInterrupt((name) => {
    // After a time limit the first signal is the second reason to end.
    if (work.signal.aborted) giveUp(code ?? CODES[name]);
    code ??= CODES[name];
    stop(new HawserError('Canceled', 'interrupted'));
  });
  if (timeout > 0) {
    const late = new HawserError('DeadlineExceeded', `not done within ${duration(timeout)}`, {
      hint: 'Allow more with --timeout; the same command goes on then from what it has stored, or a registry has got',
    });
    after(timeout, () => stop(late));
  }
  return {
    signal: work.signal,
    code: () => code,
    again,
    [Symbol.dispose]: () => {
      timer.abort();
      subscription[Symbol.dispose]();
    },
  };
}
