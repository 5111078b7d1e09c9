/** What the commands that make a directory of an image share: `unpack --rootfs` and `bundle`. */
import type { LocalBackend } from '../../backends/local/open.ts';
import { absolutePath } from '../../core/absolute-path.ts';
import { referenceOf } from '../../core/carry/layout-source.ts';
import { ifFound } from '../../core/errors.ts';
import type { Image } from '../../core/images/image-store.ts';
import { imageStatus, isComplete } from '../../core/images/inspect.ts';
import type { Platform } from '../../core/oci/descriptor.ts';
import { only } from '../../core/platforms/match.ts';
import type { Report } from '../../core/progress/events.ts';
import { parseReference } from '../../core/reference/parse.ts';
import type { Acceptance } from '../../core/trust/verdict.ts';
import type { OwnerMode } from '../../core/users/owner-policy.ts';
import { passStoredGate } from '../../core/verbs/gate-stored.ts';
import type { FetchResult } from '../../core/verbs/options.ts';
import type { RootfsOptions } from '../../core/verbs/rootfs.ts';
import { type Bool, bool, type Choice, choice, type NamesOf } from '../grammar/flag.ts';
import type { GateFlag } from '../grammar/gate-flags.ts';
import { type LayerFlag, layerSettings } from '../grammar/layer-flags.ts';
import type { FetchFlag } from '../grammar/transfer-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import type { Context } from './context.ts';
import { findImage } from './find-image.ts';
import { gateOptions, namesPolicy, storedGateOptions } from './gate.ts';
import { mayAsk, mustAsk, notHere, staleTag, unanswered } from './pull-policy.ts';
import { fetchingOptions, paceOf, platformsOf, withRegistry, withTransferRegistry } from './transfer.ts';

export const FORCE: Bool<'force'> = bool({
  name: 'force',
  describe: 'replace the directory if it is not empty, with all that is in it',
});
export const OWNER: Choice<'owner', OwnerMode> = choice({
  name: 'owner',
  choices: ['keep', 'ours', 'record'],
  describe:
    "whose the files are: the image's (keep, default as root), yours (ours, default else), or yours with the image's noted in user.rootlesscontainers (record)",
});

export const OUTPUT_FLAGS: readonly [typeof FORCE, typeof OWNER] = [FORCE, OWNER];
type OutputFlag = NamesOf<typeof OUTPUT_FLAGS>;

/** The flags as options. At most one platform. */
export function outputOptions(
  context: Context<OutputFlag | LayerFlag | 'platform'>,
  backend: LocalBackend,
  target: string,
): RootfsOptions & { readonly platform: Platform } {
  const { input, signal } = context;
  const [platform, ...more] = platformsOf(context) ?? [];
  if (more.length > 0) throw usageError('only one --platform can be in a directory');
  return {
    dir: absolutePath(target, context.runtime.host),
    force: input.get(FORCE),
    keepOut: [backend.root],
    platform: platform ?? context.platform,
    layerSettings: { ...layerSettings(input), owner: input.get(OWNER) },
    signal,
  };
}

/** `verified`: who vouches for the image; not given, or empty: nobody was asked. */
export interface PresentImage {
  readonly image: Image;
  readonly verified?: readonly Acceptance[] | undefined;
}

/** What was made of an image, and who vouches for that. */
export function vouched<T extends FetchResult>(made: T, { verified = [] }: PresentImage): T {
  return verified.length === 0 ? made : { ...made, verified };
}

/** The image as it is in the store, if it may come in; fetched when it, or a part of it that the platform needs, is not there. */
export async function presentImage(
  context: Context<FetchFlag | GateFlag | 'platform' | 'pull'>,
  backend: LocalBackend,
  platform: Platform,
  report: Report,
): Promise<PresentImage> {
  const { input, services, signal } = context;
  const call = { signal };
  const image = mustAsk(context) ? undefined : await ifFound(findImage(backend.images, input.arg(0), call));
  if (image && isComplete(await imageStatus(backend.content, image.target, only(platform), call))) {
    const verified = await judgeStored(context, backend, { image, platform, report });
    const stale = mayAsk(context) ? staleTag(context, image) : undefined;
    if (stale !== undefined) report({ type: 'warning', message: stale });
    return { image, verified };
  }
  const reference = await referenceOf(context.runtime, input.arg(0), context);
  if (reference.layout === undefined && !mayAsk(context)) throw notHere(input.arg(0));
  const registryOpts = await fetchingOptions(context, reference);
  const { name, verified } = await withRegistry(context, backend, { ...registryOpts, report }, (deps) =>
    services.fetchImage(deps, {
      reference,
      platforms: platformsOf(context),
      ...gateOptions(context),
      ...paceOf(registryOpts),
      report,
      signal,
    }),
  ).catch((err) => {
    throw unanswered(context, err);
  });
  return { image: await backend.images.get(name, call), verified };
}

/** Whether an image of the store may go on: by the signatures in the store, else by those at its registry, where the flags ask for any. */
async function judgeStored(
  context: Context<FetchFlag | GateFlag | 'platform' | 'pull'>,
  backend: LocalBackend,
  {
    image,
    platform,
    report,
  }: { readonly image: Image; readonly platform: Platform; readonly report: Report },
): Promise<readonly Acceptance[]> {
  const { signal } = context;
  const reference = parseReference(image.name);
  const registryOpts = namesPolicy(context) ? await fetchingOptions(context, reference) : {};
  return await withTransferRegistry(context, { ...registryOpts, report }, async (registry) => {
    const evidence = mayAsk(context) ? registry.evidence(reference) : undefined;
    const subject = { reference, root: image.target, platforms: [platform] };
    const call = { signal, report, registry: evidence };
    return await passStoredGate({ backend }, storedGateOptions(context), subject, call);
  });
}
