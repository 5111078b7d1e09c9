/** An image as one plain tree: the layers are applied one over another. */
import { wrap } from '../errors.ts';
import type { Applier } from '../layers/applier.ts';
import { type ImageBudget, imageBudget } from '../layers/image-budget.ts';
import type { LayerSettings } from '../layers/layer-settings.ts';
import { checkDiffId, type LayerStep } from '../layers/layer-steps.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import type { Runtime } from '../runtime.ts';
import { settleRoot } from '../trees/settle-root.ts';

export interface TreeDeps {
  readonly runtime: Pick<Runtime, 'fs' | 'syscalls'>;
  readonly applier: Applier;
  readonly report: Report;
  /** Runs work that reads a stored layer: blobs that have rotted are dropped, and the error says so. */
  guard<T>(layer: LayerStep['layer'], work: () => Promise<T>): Promise<T>;
}

export interface TreeOptions extends Call {
  readonly settings: LayerSettings;
}

/**
 * Makes the directory `path`, which is absent, with the tree. After an error it holds a part. Returns whether a layer has
 * programs with rights of their own, or devices (`Applied.privileged`).
 */
export async function applyFlat(
  deps: TreeDeps,
  steps: readonly LayerStep[],
  path: string,
  opts: TreeOptions,
): Promise<boolean> {
  let privileged = false;
  await deps.runtime.fs.mkdir(path, 0o755, opts);
  settleRoot(await deps.runtime.syscalls(), path);
  const layers = steps.map(({ layer }) => layer);
  const image = imageBudget(layers, opts.settings);
  for (const step of steps) {
    try {
      const work = () => applyStep(deps, step, steps.length, path, { ...opts, image });
      if (await deps.guard(step.layer, work)) privileged = true;
    } catch (err) {
      throw wrap(`Cannot extract layer ${step.index + 1} (${step.layer.digest})`, err);
    }
  }
  return privileged;
}

async function applyStep(
  deps: TreeDeps,
  step: LayerStep,
  count: number,
  path: string,
  { settings, image, signal }: TreeOptions & { readonly image: ImageBudget },
): Promise<boolean> {
  const { layer, index, chainId } = step;
  const tell = (status: 'extracting' | 'extracted', offset: number) =>
    deps.report({ type: 'layer', desc: layer, index, count, chainId, status, offset });
  tell('extracting', 0);
  const target = { trees: { upper: path, lowers: [] } };
  const onProgress = (offset: number) => tell('extracting', offset);
  const applied = await deps.applier.apply(layer, target, { settings, image, onProgress, signal });
  for (const message of applied.warnings) deps.report({ type: 'warning', message });
  checkDiffId(step, applied.digest);
  tell('extracted', layer.size);
  return applied.privileged ?? false;
}
