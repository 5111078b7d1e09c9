/** `pull --plan`: what a pull would do, with the store only looked at. */
import type { Report } from '../../core/progress/events.ts';
import type { PullOptions } from '../../core/verbs/options.ts';
import { PROGRESS } from '../grammar/flags.ts';
import type { TransferFlag } from '../grammar/transfer-flags.ts';
import { renderPlan, renderPlanJson } from '../render/plan.ts';
import { type Context, print, warn, withStore } from './context.ts';
import { transferOptions, withRegistry } from './transfer.ts';

export async function showPlan(
  context: Context<TransferFlag>,
  more: Pick<PullOptions, 'snapshotter'>,
): Promise<void> {
  const { services, input, signal } = context;
  const { registryOpts, options } = await transferOptions(context);
  const warnings: string[] = [];
  const report: Report = (event) => {
    if (event.type === 'warning') warnings.push(event.message);
  };
  const plan = await withStore(context, (backend) =>
    withRegistry(context, backend, { ...registryOpts, report }, (deps) =>
      services.planPull(deps, { ...options, ...more, signal, report }),
    ),
  );
  for (const message of warnings) await warn(context, `warning: ${message}`);
  await print(context, input.get(PROGRESS) === 'json' ? renderPlanJson(plan) : renderPlan(plan));
}
