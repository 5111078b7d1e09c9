/** The verb `gc`: the policy of the store is followed, then all that nothing refers to is collected. A broken policy lets no image go. */
import type { Backend, GcResult } from '../backend.ts';
import { type GcPlan, planCollection, withoutItems } from '../gc/survey.ts';
import type { Call } from '../ports/call.ts';
import { followPolicy, policyWarnings } from './policy.ts';

/** What the policy had to do with a collection. */
export interface ByPolicy {
  /** The file; empty where there is none, or a broken one. */
  readonly file: string;
  /** The names of the images that the policy let go, or would. */
  readonly gone: readonly string[];
  readonly warnings: readonly string[];
  /** Why the policy was not followed; empty where nothing is wrong. */
  readonly failures: readonly unknown[];
}

type Roles = Pick<Backend, 'policy' | 'images' | 'collect' | 'survey' | 'namespace'>;

/** `result`: undefined of a containerd, which does not say. */
export async function collectByPolicy(
  backend: Roles,
  call: Call,
): Promise<ByPolicy & { readonly result: GcResult | undefined }> {
  const followed = await orFailure(async () => await followPolicy(backend, call), call);
  return { ...followed, result: await backend.collect(call) };
}

/** What `collectByPolicy` would remove; changes nothing. */
export async function planByPolicy(
  backend: Roles,
  call: Call,
): Promise<ByPolicy & { readonly plan: GcPlan }> {
  const foretold = await orFailure(async () => {
    const says = await backend.policy?.(call);
    if (says === undefined) return undefined;
    return { file: says.file, gone: says.goes.map(({ name }) => name), warnings: policyWarnings(says) };
  }, call);
  const removals = foretold.gone.map((id) => ({ type: 'images' as const, id }));
  const survey = withoutItems(await backend.survey(call), backend.namespace, removals);
  return { ...foretold, plan: planCollection(survey) };
}

async function orFailure(
  follow: () => Promise<Omit<ByPolicy, 'failures'> | undefined>,
  { signal }: Call,
): Promise<ByPolicy> {
  const nothing = { file: '', gone: [], warnings: [] };
  try {
    return { ...((await follow()) ?? nothing), failures: [] };
  } catch (err) {
    signal?.throwIfAborted();
    return { ...nothing, failures: [err] };
  }
}
