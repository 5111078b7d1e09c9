import { HawserError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Host } from '../../core/ports/host.ts';
import { duration } from '../render/units.ts';

const CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export interface Interruption extends Disposable {
  readonly signal: AbortSignal;
  /** 128 plus the number of the first signal; undefined before one came. */
  code(): number | undefined;
  /** Resolves with the code at the second signal: the process should end at once. */
  readonly again: Promise<number>;
}

/** Aborts `signal` at the first SIGINT, SIGTERM or SIGHUP, and after `timeout` milliseconds (0: no limit). */
export function listen(host: Host, clock: Clock, timeout: number): Interruption {
  const work = new AbortController();
  const timer = new AbortController();
  let code: number | undefined;
  let giveUp: (code: number) => void = () => {};
  const again = new Promise<number>((resolve) => {
    giveUp = resolve;
  });
  const subscription = host.onInterrupt((name) => {
    if (code !== undefined) giveUp(code);
    code ??= CODES[name];
    work.abort(new HawserError('Canceled', 'interrupted'));
  });
  if (timeout > 0) {
    const late = new HawserError('DeadlineExceeded', `not done within ${duration(timeout)}`, {
      hint: 'Allow more with --timeout; what was downloaded is kept and a new pull goes on from there',
    });
    clock.sleep(timeout, timer.signal).then(
      () => work.abort(late),
      () => {},
    );
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
