/** Shared by `images pull` and `content fetch`: flags become options, and the display runs around the work. */

import { cleaningUp } from '../../core/async/cleanup.ts';
import type { Backend } from '../../core/backend.ts';
import { referenceOf } from '../../core/carry/layout-source.ts';
import type { Platform } from '../../core/oci/descriptor.ts';
import { defaultPlatform } from '../../core/platforms/host.ts';
import { parsePlatform } from '../../core/platforms/parse.ts';
import type { Report } from '../../core/progress/events.ts';
import type { Reference } from '../../core/reference/reference.ts';
import { reporting } from '../../core/registry/observe.ts';
import type { RegistryEvent, RegistryOptions } from '../../core/registry/open.ts';
import type { Registry } from '../../core/registry/registry.ts';
import type { FetchOptions, FetchResult, StoreDeps, TransferDeps } from '../../core/verbs/options.ts';
import type { RecordOptions } from '../../core/verbs/record.ts';
import { type DisplayFlag, JSON_RESULT, LABEL, PLATFORM, PROGRESS, QUIET } from '../grammar/flags.ts';
import {
  ALL_METADATA,
  ALL_PLATFORMS,
  type FetchFlag,
  FOR_CRI,
  FORCE,
  FOREIGN_URLS,
  KEEP_PARTIAL,
  MAX_CONCURRENT_DOWNLOADS,
  PIN,
  type RecordFlag,
  SIGNATURES,
  SKIP_METADATA,
  type TransferFlag,
} from '../grammar/transfer-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { Display, type DisplayOptions, defaultMode, wantsColour } from '../render/display.ts';
import { type Context, late, withBackend } from './context.ts';
import { isClosedPipe } from './failure.ts';
import { gateOptions } from './gate.ts';
import { networkOptions } from './network-options.ts';
import { registryOptions } from './registry-options.ts';
import { withTracing } from './tracing.ts';

/** Runs `work` with an open store and registry under the display, and writes the traces that are wanted. */
export async function transfer<R extends FetchResult>(
  context: Context<TransferFlag>,
  shown: Shown,
  work: (deps: TransferDeps, options: FetchOptions) => Promise<R>,
): Promise<void> {
  const { registryOpts, options } = await transferOptions(context);
  await withTracing(context, (trace) =>
    displayed(context, shown, (show) => {
      const report: Report = (event) => {
        show(event);
        trace?.(event);
      };
      return withBackend(context, (backend) =>
        withRegistry(context, backend, { ...registryOpts, report }, (deps) =>
          work(deps, { ...options, report }),
        ),
      );
    }),
  );
}

/** The flags of a transfer as options. Reads the files that flags name; may ask for a password. */
export async function transferOptions(
  context: Context<TransferFlag>,
): Promise<{ readonly registryOpts: RegistryOptions; readonly options: FetchOptions }> {
  const reference = await referenceOf(context.runtime, context.input.arg(0), context);
  const registryOpts = await fetchingOptions(context, reference);
  return { registryOpts, options: { reference, ...commonOptions(context), ...paceOf(registryOpts) } };
}

/** The registry to fetch from, by the flags. Reads the files that flags name; may ask for a password. */
export async function fetchingOptions(
  context: Context<FetchFlag>,
  reference: Reference,
): Promise<RegistryOptions> {
  const { input } = context;
  return {
    ...(await registryOptions(context, reference)),
    ...networkOptions(input),
    foreignUrls: input.get(FOREIGN_URLS),
  };
}

/** The last lines of the display. */
export type Shown = Pick<DisplayOptions, 'unpacks' | 'printChainId' | 'sends'>;

/** Runs `work` under the display, which ends with the result or the error. Output that fails after success is a warning. */
export async function displayed<R extends FetchResult | readonly FetchResult[]>(
  context: Context<DisplayFlag>,
  shown: Shown,
  work: (report: Report) => Promise<R>,
): Promise<void> {
  const display = new Display({ ...displayOptions(context), ...shown });
  let result: R;
  try {
    result = await work(display.report);
  } catch (err) {
    await display.fail(err);
    throw err;
  }
  await display.finish(result).catch((err) => {
    if (isClosedPipe(err)) throw err;
    return late(context, 'the work is done, but')(err);
  });
}

export async function withRegistry<R>(
  context: Context,
  backend: Backend,
  options: RegistryOptions & { readonly report: Report },
  work: (deps: TransferDeps) => Promise<R>,
): Promise<R> {
  return await withTransferRegistry(context, options, (registry) =>
    work({ ...storeDeps(context, backend), registry }),
  );
}

/** Opens a client of registries for `work`; waits and warnings go to `report`. */
export async function withTransferRegistry<R>(
  context: Context,
  { report, ...registryOpts }: RegistryOptions & { readonly report: Report },
  work: (registry: Registry) => Promise<R>,
): Promise<R> {
  const observe = (event: RegistryEvent) => {
    registryOpts.observe?.(event);
    reporting(report)(event);
  };
  const registry = context.services.openRegistry(context.runtime, { ...registryOpts, observe });
  return await cleaningUp(
    () => work(registry),
    () => registry[Symbol.asyncDispose](),
    late(context, 'closing the connections'),
  );
}

export function storeDeps(context: Context, backend: Backend): StoreDeps {
  const { clock, hashers, codecs, host } = context.runtime;
  const hostPlatform = defaultPlatform(backend, host);
  return { backend, clock, hashers, codecs, hostPlatform, cpus: host.cpus };
}

/** With --limit-rate each blob is fetched in one stream: a second one gains nothing. */
export function paceOf({ retry, limitRate }: RegistryOptions): Pick<FetchOptions, 'retry' | 'split'> {
  return { retry, ...(limitRate === undefined ? {} : { split: { lanes: 1 } }) };
}

export function displayOptions({
  input,
  runtime,
  stdout,
  stderr,
}: Context<DisplayFlag>): Omit<DisplayOptions, keyof Shown> {
  const env = (name: string) => runtime.host.env(name);
  const short = [
    ...(input.get(JSON_RESULT) ? (['document'] as const) : []),
    ...(input.get(QUIET) ? (['names'] as const) : []),
  ];
  const asked = input.get(PROGRESS);
  if (short.length > 1) throw usageError('cannot specify both --json and --quiet');
  if (short.length > 0 && input.has(PROGRESS) && asked !== 'none')
    throw usageError('--json and --quiet show no progress: leave --progress away');
  const mode = short[0] ?? asked ?? defaultMode(stdout, env);
  return { mode, clock: runtime.clock, stdout, stderr, colour: wantsColour(stdout, env) };
}

/** The platforms of --platform; undefined when none was given. */
export function platformsOf({ input, platform }: Context<'platform'>): readonly Platform[] | undefined {
  const platforms = input.get(PLATFORM).map((text) => parsePlatform(text, platform));
  return platforms.length > 0 ? platforms : undefined;
}

/** What the flags say of every image. */
export function commonOptions(context: Context<TransferFlag>): Omit<FetchOptions, 'reference'> {
  const { input, signal } = context;
  const platforms = platformsOf(context);
  const all = input.get(ALL_PLATFORMS);
  if (all && platforms !== undefined) throw usageError('cannot specify both --platform and --all-platforms');
  const [allMetadata, skipMetadata] = [input.get(ALL_METADATA), input.get(SKIP_METADATA)];
  if (allMetadata && skipMetadata) {
    throw usageError('cannot specify both --all-metadata and --skip-metadata');
  }
  return {
    signal,
    platforms: all ? 'all' : platforms,
    // Without either flag the store decides.
    allMetadata: allMetadata || skipMetadata ? allMetadata : undefined,
    ...gateOptions(context),
    signatures: input.get(SIGNATURES),
    labels: labelsOf(input.get(LABEL)),
    maxConcurrentDownloads: input.get(MAX_CONCURRENT_DOWNLOADS),
    force: input.get(FORCE),
    keepPartial: input.get(KEEP_PARTIAL),
    ...recordOptions(context),
  };
}

/** What --for-cri and --pin say; without --for-cri the store decides. */
export function recordOptions({ input }: Context<RecordFlag>): RecordOptions {
  return { forCri: input.find(FOR_CRI) !== undefined ? input.get(FOR_CRI) : undefined, pin: input.get(PIN) };
}

/** Parses `key=value`; a bare key gets the value `true`, as in ctr. `source`: where the texts are from. */
export function labelsOf(texts: readonly string[], source = '--label'): Record<string, string> {
  const labels: Record<string, string> = Object.create(null);
  for (const text of texts) {
    const at = text.indexOf('=');
    if (at === 0 || text === '') throw usageError(`invalid value "${text}" for ${source}: the key is empty`);
    if (at < 0) labels[text] = 'true';
    else labels[text.slice(0, at)] = text.slice(at + 1);
  }
  return { ...labels };
}
