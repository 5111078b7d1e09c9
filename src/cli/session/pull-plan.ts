/** `pull --plan`: says what a pull would do; the store is only read. */
import type { Report } from '../../core/progress/events.ts';
import type { PullOptions } from '../../core/verbs/options.ts';
import { JSON_RESULT, PROGRESS } from '../grammar/flags.ts';
import type { TransferFlag } from '../grammar/transfer-flags.ts';
import type { Outcome } from '../views/view.ts';
import { type Context, withStore } from './context.ts';
import { transferOptions, withRegistry } from './transfer.ts';

export async function planned(
  context: Context<TransferFlag>,
  more: Pick<PullOptions, 'snapshotter'>,
): Promise<Outcome> {
  const { services, input, signal } = context;
  const { registryOpts, options } = await transferOptions(context);
  const warnings: string[] = [];
  const report: Report = (event) => {
    if (event.type === 'warning') warnings.push(`warning: ${event.message}`);
  };
  const plan = await withStore(context, (backend) =>
    withRegistry(context, backend, { ...registryOpts, report }, (deps) =>
      services.planPull(deps, { ...options, ...more, signal, report }),
    ),
  );
  return {
    view: { type: 'plan', plan, json: input.get(JSON_RESULT) || input.get(PROGRESS) === 'json' },
    warnings,
  };
}
