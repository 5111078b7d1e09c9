/** The policy of a store: `policy.toml` in its root, followed ahead of each collection that comes by itself. */
import type { Backend } from '../../core/backend.ts';
import type { Call } from '../../core/ports/call.ts';
import { chooseByPolicy, readPolicy } from '../../core/verbs/policy.ts';
import { POLICY } from './root.ts';
import type { Store } from './store.ts';

/**
 * Removes the images of the backend's namespace that the policy lets go. Returns what the user should know, in sentences. InvalidArgument
 * for a file that is no policy.
 */
export async function followPolicy(backend: Backend, store: Store, call: Call): Promise<readonly string[]> {
  // What a lost database had stays, so that no image that goes would free anything.
  if (store.lostIndexes.length > 0) return [];
  const { fs } = store.runtime;
  const file = store.path(POLICY);
  if ((await fs.stat(file, call)) === undefined) return [];
  const policy = await readPolicy(fs, file, call);
  const { goes, tooLarge } = await chooseByPolicy(backend, policy, { now: store.now(), ...call });
  if (goes.length > 0) await backend.images.deleteUnchanged(goes, call);
  return tooLarge === undefined ? [] : [`${file}: ${tooLarge}`];
}
