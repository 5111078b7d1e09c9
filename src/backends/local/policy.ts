/** The policy of a store: `policy.toml` in its root, followed ahead of each collection that comes by itself. */
import type { Backend } from '../../core/backend.ts';
import { HawserError, hintOf, isKind, messageOf } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import { chooseByPolicy, readPolicy } from '../../core/verbs/policy.ts';
import type { Policy } from '../../core/verbs/policy-file.ts';
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

/**
 * Removes the images of the backend's namespace that the policy lets go, and tells each. InvalidArgument for a file that is no policy.
 */
export async function followPolicy(
  backend: Backend,
  store: Store,
  tell: (message: string) => void,
  call: Call,
): Promise<void> {
  // What a lost database had stays, so that no image that goes would free anything.
  if (store.lostIndexes.length > 0) return;
  const file = store.path(POLICY);
  const policy = await policyOf(store, file, call);
  if (policy === undefined) return;
  const { goes, tooLarge } = await chooseByPolicy(backend, policy, { now: store.now(), ...call });
  const gone = goes.length === 0 ? [] : await backend.images.deleteUnchanged(goes, call);
  for (const name of gone) tell(`Removed the image ${name}, by the policy ${file}`);
  if (tooLarge !== undefined) tell(`${file}: ${tooLarge}`);
}
