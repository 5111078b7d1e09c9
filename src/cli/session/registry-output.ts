/** Shared by `content fetch-object` and `fetch-blob`: bytes go from the registry to standard output, through no store. */

import { cleaningUp } from '../../core/async/cleanup.ts';
import { streamBlob } from '../../core/download/stream-blob.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { Report } from '../../core/progress/events.ts';
import { parseReference } from '../../core/reference/parse.ts';
import type { Reference } from '../../core/reference/reference.ts';
import { reporting } from '../../core/registry/observe.ts';
import type { Fetcher, Registry } from '../../core/registry/registry.ts';
import type { NetworkFlag, RegistryFlag } from '../grammar/registry-flags.ts';
import { plainLines } from '../render/plain.ts';
import { lineWriter } from '../render/trace.ts';
import { type Context, late } from './context.ts';
import { networkOptions } from './network-options.ts';
import { registryOptions } from './registry-options.ts';
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
  const { runtime, services, stdout, stderr, signal, input } = context;
  const { clock, hashers } = runtime;
  const reference = parseReference(input.arg(0));
  const options = { ...(await registryOptions(context, reference)), ...networkOptions(input) };
  const tell = lineWriter(stderr);
  const report: Report = (event) => {
    const lines = event.type === 'warning' ? [`warning: ${event.message}`] : plainLines(event);
    for (const line of lines) tell(line);
  };
  const registry = services.openRegistry(runtime, { ...options, observe: reporting(report) });
  const write: RegistryOutput['write'] = async (desc, fetcher) => {
    const deps = { fetcher, clock, hashers, report, ...paceOf(options) };
    await streamBlob(deps, desc, (bytes) => stdout.write(bytes), { signal });
  };
  await cleaningUp(
    () => work({ registry, reference, write }),
    () => registry[Symbol.asyncDispose](),
    late(context, 'closing the connections'),
  );
}
