/** No file for the user is written into the store. */
import { chooseRoot } from '../../backends/local/default-root.ts';
import { requireOutside } from '../../core/output/outside.ts';
import { ADDRESS, ROOT } from '../grammar/flags.ts';
import type { Context } from './context.ts';

/** Where the store is, if it is one of ours. */
export function storeOf({ input, runtime }: Context): readonly string[] {
  const address = input.get(ADDRESS) ?? '';
  return address === '' || input.rank(ROOT) < input.rank(ADDRESS)
    ? [chooseRoot(input.get(ROOT), runtime.host)]
    : [];
}

/** FailedPrecondition for a path (absolute) in the store. */
export async function requireOutsideStore(context: Context, path: string): Promise<void> {
  const { runtime, signal } = context;
  await requireOutside(runtime, path, { doing: `Cannot write ${path}`, keepOut: storeOf(context), signal });
}
