/** What `images pull` and `content fetch` share: flags to options, and the display around the work. */

import type { Backend } from '../../core/backend.ts';
import type { Platform } from '../../core/oci/descriptor.ts';
import { parsePlatform } from '../../core/platforms/parse.ts';
import type { Report } from '../../core/progress/events.ts';
import { parseReference } from '../../core/reference/parse.ts';
import { reporting } from '../../core/registry/observe.ts';
import type { RegistryEvent, RegistryOptions } from '../../core/registry/open.ts';
import type { TransferDeps } from '../../core/verbs/fetch.ts';
import type { FetchOptions, FetchResult } from '../../core/verbs/options.ts';
import type { StoreDeps } from '../../core/verbs/unpack.ts';
import { usageError } from '../grammar/usage-error.ts';
import { Display, defaultMode, type ProgressMode, wantsColour } from '../render/display.ts';
import { type Context, withBackend } from './context.ts';
import { registryOptions } from './registry-options.ts';
import { withTracing } from './tracing.ts';

/** Runs `work` with an open store and registry under the display. */
export async function transfer<R extends FetchResult>(
  context: Context,
  unpacks: boolean,
  work: (deps: TransferDeps, options: FetchOptions) => Promise<R>,
): Promise<void> {
  const { registryOpts, options } = await transferOptions(context);
  await displayed(context, unpacks, (report) =>
    withBackend(context, (backend) =>
      withRegistry(context, backend, { ...registryOpts, report }, (deps) =>
        work(deps, { ...options, report }),
      ),
    ),
  );
}

/** The flags of a transfer. Reads the files they name, and may ask for a password. */
export async function transferOptions(
  context: Context,
): Promise<{ readonly registryOpts: RegistryOptions; readonly options: FetchOptions }> {
  const registryOpts = await registryOptions(context, parseReference(context.input.arg(0)));
  return { registryOpts, options: { ...fetchOptions(context), ...paceOf(registryOpts) } };
}

/** Runs `work` under the display, which ends with what it returns or throws, and with the traces that are wanted. */
export async function displayed<R extends FetchResult>(
  context: Context,
  unpacks: boolean,
  work: (report: Report) => Promise<R>,
): Promise<void> {
  await withTracing(context, async (trace) => {
    const printChainId = context.input.bool('print-chainid');
    const display = new Display({ ...displayOptions(context), printChainId, unpacks });
    try {
      const result = await work((event) => {
        display.report(event);
        trace?.(event);
      });
      await display.finish(result);
    } catch (err) {
      await display.fail(err);
      throw err;
    }
  });
}

export async function withRegistry<R>(
  context: Context,
  backend: Backend,
  { report, ...registryOpts }: RegistryOptions & { readonly report: Report },
  work: (deps: TransferDeps) => Promise<R>,
): Promise<R> {
  const observe = (event: RegistryEvent) => {
    registryOpts.observe?.(event);
    reporting(report)(event);
  };
  const registry = context.services.openRegistry(context.runtime, { ...registryOpts, observe });
  try {
    return await work({ ...storeDeps(context, backend), registry });
  } finally {
    await registry[Symbol.asyncDispose]();
  }
}

export function storeDeps({ runtime, platform }: Context, backend: Backend): StoreDeps {
  const { clock, hashers, codecs, host } = runtime;
  return { backend, clock, hashers, codecs, hostPlatform: platform, cpus: host.cpus };
}

/** Under a limit a second stream brings nothing. */
export function paceOf({ retry, limitRate }: RegistryOptions): Pick<FetchOptions, 'retry' | 'split'> {
  return { retry, ...(limitRate === undefined ? {} : { split: { lanes: 1 } }) };
}

function displayOptions({ input, runtime, stdout, stderr }: Context) {
  const env = (name: string) => runtime.host.env(name);
  const mode = (input.text('progress') as ProgressMode | undefined) ?? defaultMode(stdout, env);
  return { mode, clock: runtime.clock, stdout, stderr, colour: wantsColour(stdout, env) };
}

/** Undefined when none was given. */
export function platformsOf({ input, platform }: Context): readonly Platform[] | undefined {
  const platforms = input.list('platform').map((text) => parsePlatform(text, platform));
  return platforms.length > 0 ? platforms : undefined;
}

function fetchOptions(context: Context): FetchOptions {
  const { input, signal } = context;
  const reference = parseReference(input.arg(0));
  const platforms = platformsOf(context);
  const all = input.bool('all-platforms');
  if (all && platforms !== undefined) throw usageError('cannot specify both --platform and --all-platforms');
  if (input.bool('all-metadata') && input.bool('skip-metadata')) {
    throw usageError('cannot specify both --all-metadata and --skip-metadata');
  }
  return {
    signal,
    reference,
    platforms: all ? 'all' : platforms,
    allMetadata: input.bool('all-metadata'),
    metadataOnly: input.bool('metadata-only'),
    labels: labelsOf(input.list('label')),
    maxConcurrentDownloads: input.count('max-concurrent-downloads'),
  };
}

/** `key=value`; a bare key is `true`, as ctr has it. */
export function labelsOf(texts: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = Object.create(null);
  for (const text of texts) {
    const at = text.indexOf('=');
    if (at === 0 || text === '') throw usageError(`invalid value "${text}" for --label: the key is empty`);
    if (at < 0) labels[text] = 'true';
    else labels[text.slice(0, at)] = text.slice(at + 1);
  }
  return { ...labels };
}
