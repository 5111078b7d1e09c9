/** The policy of a store: `policy.toml` in its root, followed ahead of `gc` and of each collection that comes by itself. */
import type { Backend, PolicySays } from '../../core/backend.ts';
import { HawserError, hintOf, isKind, messageOf } from '../../core/errors.ts';
import { totalOf } from '../../core/gc/usage.ts';
import type { Call } from '../../core/ports/call.ts';
import { chooseByPolicy, followPolicy, policyWarnings, readPolicy } from '../../core/verbs/policy.ts';
import type { Policy } from '../../core/verbs/policy-file.ts';
import type { PruneRoles } from '../../core/verbs/prune.ts';
import { hasPolicy, POLICY } from './root.ts';
import type { Store } from './store.ts';

/** Undefined without a policy. InvalidArgument, which the user is told, also for one that cannot be read or that others may write. */
async function policyOf({ runtime, root }: Store, file: string, call: Call): Promise<Policy | undefined> {
  try {
    return (await hasPolicy(runtime, root, call)) ? await readPolicy(runtime.fs, file, call) : undefined;
  } catch (err) {
    call.signal?.throwIfAborted();
    if (isKind(err, 'InvalidArgument')) throw err;
    const what = `Cannot follow the policy ${file}: ${messageOf(err)}`;
    throw new HawserError('InvalidArgument', what, { hint: hintOf(err), cause: err });
  }
}

/** The policy of a store whose database was lost is not followed: what the database had stays, so that no image that goes would free anything. */
async function followedPolicy(store: Store, call: Call): Promise<Policy | undefined> {
  return store.lostIndexes.length > 0 ? undefined : await policyOf(store, store.path(POLICY), call);
}

/** What the policy says of the images of the backend's namespace. InvalidArgument for a file that is no policy. */
export async function policySays(
  roles: PruneRoles,
  store: Store,
  call: Call = {},
): Promise<PolicySays | undefined> {
  const policy = await followedPolicy(store, call);
  if (policy === undefined) return undefined;
  const { goes, tooLarge } = await chooseByPolicy(roles, policy, { now: store.now(), ...call });
  return { file: store.path(POLICY), goes, tooLarge };
}

/** What the size of a store asks for: nothing, a collection, or more than a collection can do, of which the user is told. */
export type SizeAsks =
  | { readonly type: 'nothing' }
  | { readonly type: 'collection' }
  | { readonly type: 'more'; readonly maxSize: number; readonly message: string };

/** InvalidArgument for a file that is no policy. */
export async function sizeAsks(roles: PruneRoles, store: Store, call: Call): Promise<SizeAsks> {
  const policy = await followedPolicy(store, call);
  if (policy?.maxSize === undefined) return { type: 'nothing' };
  const { maxSize } = policy;
  if (totalOf(await roles.survey(call)) <= maxSize) return { type: 'nothing' };
  const { goes, tooLarge } = await chooseByPolicy(roles, policy, { now: store.now(), ...call });
  if (tooLarge === undefined || goes.length > 0) return { type: 'collection' };
  const [message = tooLarge] = policyWarnings({ file: store.path(POLICY), goes, tooLarge });
  return { type: 'more', maxSize, message };
}

/** Tells each image that goes. */
export async function followAndTell(
  backend: Backend,
  tell: (message: string) => void,
  call: Call,
): Promise<void> {
  const followed = await followPolicy(backend, call);
  if (followed === undefined) return;
  const { file, gone, warnings } = followed;
  for (const name of gone) tell(`Removed the image ${name}, by the policy ${file}`);
  for (const warning of warnings) tell(warning);
}
