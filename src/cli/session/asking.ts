/** Shared by the commands that ask a registry and store nothing. */
import { cleaningUp } from '../../core/async/cleanup.ts';
import type { Report } from '../../core/progress/events.ts';
import type { Reference } from '../../core/reference/reference.ts';
import type { Credential } from '../../core/registry/credentials/credential.ts';
import { type Observe, reporting } from '../../core/registry/observe.ts';
import type { ResolveDeps } from '../../core/verbs/resolve-platforms.ts';
import type { NetworkFlag, RegistryFlag } from '../grammar/registry-flags.ts';
import { plainLines } from '../render/plain.ts';
import { lineWriter } from '../render/trace.ts';
import { type Context, late } from './context.ts';
import { networkOptions } from './network-options.ts';
import { registryOptions } from './registry-options.ts';

/** Opens the registry of `reference`, by the flags, for `work`. Waits and warnings go to standard error. `credential`: in place of that of the flags. */
export async function withRegistry<T>(
  context: Context<RegistryFlag | NetworkFlag>,
  reference: Pick<Reference, 'host'>,
  work: (deps: ResolveDeps) => Promise<T>,
  more: { readonly credential?: Credential; readonly observe?: Observe } = {},
): Promise<T> {
  const { runtime, services, stderr, input } = context;
  const { clock, hashers } = runtime;
  const flags = await registryOptions(context, reference, more.credential);
  const options = { ...flags, ...networkOptions(input) };
  const tell = lineWriter(stderr);
  const report: Report = (event) => {
    const lines = event.type === 'warning' ? [`warning: ${event.message}`] : plainLines(event);
    for (const line of lines) tell(line);
  };
  const told = reporting(report);
  const observe: Observe = (event) => {
    more.observe?.(event);
    told(event);
  };
  const registry = services.openRegistry(runtime, { ...options, observe });
  return await cleaningUp(
    () => work({ registry, clock, hashers, report, retry: options.retry }),
    () => registry[Symbol.asyncDispose](),
    late(context, 'closing the connections'),
  );
}
