/** Shared by the commands that verify: how far it is, and what came of it. */
import { HawserError } from '../../core/errors.ts';
import type { VerifyProgress, VerifyReport } from '../../core/verify/report.ts';
import { binarySize } from '../render/units.ts';
import type { Outcome } from '../views/view.ts';
import { type Context, warn } from './context.ts';

/** Milliseconds between two lines. */
const INTERVAL = 2000;

/** Tells on a terminal how far a check is. */
export function verifyProgress(
  context: Pick<Context, 'runtime' | 'stderr'>,
): ((progress: VerifyProgress) => void) | undefined {
  if (!context.runtime.host.stderr.isTerminal) return undefined;
  const { clock } = context.runtime;
  let last = clock.monotonic();
  return ({ stage, bytes, total }) => {
    if (clock.monotonic() - last < INTERVAL) return;
    last = clock.monotonic();
    const of = total > 0 ? ` of ${binarySize(total)}` : '';
    warn(context, `${stage}: ${binarySize(bytes)}${of} read`).catch(() => {});
  };
}

/** Damage is a failure of the command: scripts see it by the exit code. */
export function verifyOutcome(report: VerifyReport, json: boolean): Outcome {
  const view = { type: 'verify', report, json } as const;
  const { length } = report.damage;
  if (length === 0) return { view };
  const what = `${length} ${length === 1 ? 'thing is' : 'things are'} damaged`;
  const isLost = report.damage.some(({ type }) => type === 'records');
  const hint = isLost
    ? 'hawser recover makes the records again from content/'
    : 'hawser images repair brings what is damaged, and nothing else';
  return { view, failures: [new HawserError('DataLoss', what, { hint })] };
}
