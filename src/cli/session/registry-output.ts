/** Shared by `content fetch-object` and `fetch-blob`: bytes go from the registry to standard output, through no store. */

import { referenceOf } from '../../core/carry/layout-source.ts';
import { streamBlob } from '../../core/download/stream-blob.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { Reference } from '../../core/reference/reference.ts';
import type { Fetcher, Registry } from '../../core/registry/registry.ts';
import type { NetworkFlag, RegistryFlag } from '../grammar/registry-flags.ts';
import { withRegistry } from './asking.ts';
import type { Context } from './context.ts';
import { networkOptions } from './network-options.ts';
import { paceOf } from './transfer.ts';

export interface RegistryOutput {
  readonly registry: Registry;
  readonly reference: Reference;
  /** Writes the verified bytes of `desc` to standard output; see `streamBlob`. */
  write(desc: Descriptor, fetcher: Fetcher): Promise<void>;
}

/** Opens the registry of the first argument for `work`. Progress and warnings go to standard error. */
export async function withRegistryOutput(
  context: Context<RegistryFlag | NetworkFlag>,
  work: (output: RegistryOutput) => Promise<void>,
): Promise<void> {
  const { stdout, signal, input } = context;
  const reference = await referenceOf(context.runtime, input.arg(0), context);
  const pace = paceOf(networkOptions(input));
  await withRegistry(context, reference, async ({ registry, ...deps }) => {
    const write: RegistryOutput['write'] = async (desc, fetcher) => {
      await streamBlob({ ...deps, fetcher, ...pace }, desc, (bytes) => stdout.write(bytes), { signal });
    };
    await work({ registry, reference, write });
  });
}
