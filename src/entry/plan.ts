import { settingsOf } from '../core/layers/layer-settings.ts';
import { type PullPlan, planPull } from '../core/verbs/pull-plan.ts';
import { type ApiPullOptions, PULL_NAMES, withDeps } from './api.ts';
import { called } from './called.ts';

/**
 * What a pull of the reference would fetch and unpack, over the store as it is. Documents are read; no layer is fetched, and the store is
 * not changed. Errors are those that `pull` would meet before its first layer; NotImplemented for an image of schema 1.
 *
 * ```ts
 * const { blobs } = await plan('alpine:3.20', { store });
 * const missing = blobs.filter((blob) => !blob.present);
 * ```
 */
export async function plan(reference: string, options: ApiPullOptions = {}): Promise<PullPlan> {
  return await called(PULL_NAMES, options, async (options) => {
    const { snapshotter } = options;
    const layerSettings = settingsOf(options);
    return await withDeps(reference, options, (deps, common) =>
      planPull(deps, { ...common, snapshotter, layerSettings }),
    );
  });
}
