import type { GcPlan } from '../../core/gc/survey.ts';
import type { PruneChoice } from '../../core/verbs/prune.ts';
import { planDocument, renderGcPlan } from './gc.ts';
import { goJson } from './go-json.ts';
import { safe } from './text.ts';

/** The names of the images that went; with a plan what would go, and why each other image stays. */
export function renderPrune({ goes, stays }: PruneChoice, plan: GcPlan | undefined, json: boolean): string {
  if (json) {
    const kept = stays.map(({ image, why }) => ({ name: image.name, why }));
    const images = { goes: goes.map(({ name }) => name), stays: kept };
    const more = plan === undefined ? {} : { plan: planDocument(plan) };
    return `${goJson({ v: 1, type: 'prune', dryRun: plan !== undefined, images, ...more })}\n`;
  }
  if (plan === undefined) return goes.map(({ name }) => `${safe(name)}\n`).join('');
  const reasons = stays.map(({ image, why }) => `image ${safe(image.name)} stays: ${safe(why)}\n`);
  return `${renderGcPlan(plan, false)}${reasons.join('')}`;
}
