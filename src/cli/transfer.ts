/** What `images pull` and `content fetch` share: flags to options, and the display around the work. */
import { parsePlatform } from '../core/platforms/parse.ts';
import type { Report } from '../core/progress/events.ts';
import { parseReference } from '../core/reference/parse.ts';
import { reporting } from '../core/registry/observe.ts';
import type { RegistryEvent, RegistryOptions } from '../core/registry/open.ts';
import type { TransferDeps } from '../core/transfer/fetch.ts';
import type { FetchOptions, FetchResult } from '../core/transfer/options.ts';
import { type Context, withBackend } from './context.ts';
import { registryOptions } from './registry-options.ts';
import { Display, defaultMode, type ProgressMode, wantsColour } from './render/display.ts';
import { withTracing } from './tracing.ts';
import { usageError } from './usage-error.ts';

/** Runs `work` with an open store and registry under the display. */
export async function transfer<R extends FetchResult>(
  context: Context,
  unpacks: boolean,
  work: (deps: TransferDeps, options: FetchOptions) => Promise<R>,
): Promise<void> {
  const { runtime, services, input, signal } = context;
  const registryOpts = await registryOptions(context, parseReference(input.arg(0)));
  const options = { ...fetchOptions(context), ...paceOf(registryOpts) };
  await withTracing(context, (trace) =>
    withBackend(context, async (backend) => {
      const printChainId = input.bool('print-chainid');
      const display = new Display({ ...displayOptions(context), printChainId, unpacks });
      const report: Report = (event) => {
        display.report(event);
        trace?.(event);
      };
      const observe = (event: RegistryEvent) => {
        registryOpts.observe?.(event);
        reporting(report)(event);
      };
      const registry = services.openRegistry(runtime, { ...registryOpts, observe });
      try {
        const { clock, hashers, codecs, host } = runtime;
        const own = { hostPlatform: context.platform, cpus: host.cpus };
        const deps = { backend, registry, clock, hashers, codecs, ...own };
        const result = await work(deps, { ...options, signal, report });
        await display.finish(result);
      } catch (err) {
        await display.fail(err);
        throw err;
      } finally {
        await registry[Symbol.asyncDispose]();
      }
    }),
  );
}

/** Under a limit a second stream brings nothing. */
function paceOf({ retry, limitRate }: RegistryOptions): Pick<FetchOptions, 'retry' | 'split'> {
  return { retry, ...(limitRate === undefined ? {} : { split: { lanes: 1 } }) };
}

function displayOptions({ input, runtime, stdout, stderr }: Context) {
  const env = (name: string) => runtime.host.env(name);
  const mode = (input.text('progress') as ProgressMode | undefined) ?? defaultMode(stdout, env);
  return { mode, clock: runtime.clock, stdout, stderr, colour: wantsColour(stdout, env) };
}

function fetchOptions({ input, platform }: Context): FetchOptions {
  const reference = parseReference(input.arg(0));
  const platforms = input.list('platform').map((text) => parsePlatform(text, platform));
  const all = input.bool('all-platforms');
  if (all && platforms.length > 0) throw usageError('cannot specify both --platform and --all-platforms');
  if (input.bool('all-metadata') && input.bool('skip-metadata')) {
    throw usageError('cannot specify both --all-metadata and --skip-metadata');
  }
  return {
    reference,
    ...(all ? { platforms: 'all' as const } : platforms.length > 0 ? { platforms } : {}),
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
