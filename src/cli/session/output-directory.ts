/** What the commands that make a directory of an image share: `unpack --rootfs` and `bundle`. */
import type { LocalBackend } from '../../backends/local/open.ts';
import { ifFound } from '../../core/errors.ts';
import type { Image } from '../../core/images/image-store.ts';
import { isComplete, statusOf } from '../../core/images/inspect.ts';
import type { Platform } from '../../core/oci/descriptor.ts';
import { only } from '../../core/platforms/match.ts';
import type { Report } from '../../core/progress/events.ts';
import type { RootfsOptions } from '../../core/verbs/rootfs.ts';
import type { Flag } from '../grammar/command.ts';
import { layerSettings } from '../grammar/layer-settings.ts';
import { usageError } from '../grammar/usage-error.ts';
import { absolutePath, type Context } from './context.ts';
import { findImage } from './find-image.ts';
import { platformsOf, transferOptions, withRegistry } from './transfer.ts';

export const OUTPUT_FLAGS: readonly Flag[] = [
  {
    name: 'force',
    type: 'bool',
    describe: 'replace the directory if it is not empty, with all that is in it',
  },
  {
    name: 'owner',
    type: 'text',
    value: 'keep|ours|record',
    choices: ['keep', 'ours', 'record'],
    describe:
      "whose the files are: the image's (keep, default as root), yours (ours, default else), or yours with the image's noted in user.rootlesscontainers (record)",
  },
];

/** The flags as options. At most one platform. */
export function outputOptions(
  context: Context,
  backend: LocalBackend,
  target: string,
): RootfsOptions & { readonly platform: Platform } {
  const { input, signal } = context;
  const [platform, ...more] = platformsOf(context) ?? [];
  if (more.length > 0) throw usageError('only one --platform can be in a directory');
  return {
    dir: absolutePath(context, target),
    force: input.bool('force'),
    keepOut: [backend.root],
    platform: platform ?? context.platform,
    layerSettings: layerSettings(input),
    signal,
  };
}

/** The image as it is in the store; fetched when it, or a part of it that the platform needs, is not there. */
export async function presentImage(
  context: Context,
  backend: LocalBackend,
  platform: Platform,
  report: Report,
): Promise<Image> {
  const { input, services, signal } = context;
  const call = { signal };
  const image = await ifFound(findImage(backend.images, input.arg(0), call));
  if (image && isComplete(await statusOf(backend.content, image.target, only(platform), call))) return image;
  const { registryOpts, options } = await transferOptions(context);
  const { name } = await withRegistry(context, backend, { ...registryOpts, report }, (deps) =>
    services.fetchImage(deps, { ...options, report }),
  );
  return await backend.images.get(name, call);
}
