import { checkDirectory, unpackRootfs } from '../../core/verbs/rootfs.ts';
import { unpackImage } from '../../core/verbs/unpack.ts';
import type { Command } from '../grammar/command.ts';
import { CODEC, JOBS, PLATFORM, PROGRESS, REGISTRY_FLAGS, SNAPSHOTTER } from '../grammar/flags.ts';
import { LAYER_LIMIT_FLAGS, layerSettings } from '../grammar/layer-settings.ts';
import { usageError } from '../grammar/usage-error.ts';
import { type Context, withBackend, withLocalBackend } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { OUTPUT_FLAGS, outputOptions, presentImage } from '../session/output-directory.ts';
import { displayed, platformsOf, storeDeps } from '../session/transfer.ts';

async function toSnapshots(context: Context): Promise<void> {
  const { input, signal } = context;
  for (const { name } of OUTPUT_FLAGS) {
    if (input.has(name)) throw usageError(`flag --${name} goes with --rootfs`);
  }
  await withBackend(context, async (backend) => {
    const image = await findImage(backend.images, input.arg(0), { signal });
    await displayed(context, true, (report) =>
      unpackImage(storeDeps(context, backend), image, {
        platforms: platformsOf(context),
        snapshotter: input.text('snapshotter'),
        layerSettings: layerSettings(input),
        report,
        signal,
      }),
    );
  });
}

async function toRootfs(context: Context, target: string): Promise<void> {
  if (context.input.has('snapshotter'))
    throw usageError('--rootfs makes no snapshots: leave --snapshotter away');
  await withLocalBackend(context, async (backend) => {
    const options = outputOptions(context, backend, target);
    await checkDirectory(context.runtime, options);
    await displayed(context, true, async (report) => {
      const image = await presentImage(context, backend, options.platform, report);
      const deps = { ...storeDeps(context, backend), runtime: context.runtime };
      return await unpackRootfs(deps, image, { ...options, report });
    });
  });
}

export const imagesUnpack: Command = {
  path: ['images', 'unpack'],
  short: true,
  args: ['<ref>'],
  missing: 'please provide an image reference to unpack',
  summary: 'unpack an image into snapshots, or (--rootfs) into a directory',
  details:
    'Into snapshots: the image has to be here already, nothing is pulled.\n' +
    'With --rootfs DIR: the tree of the image, fetched first if it is not here. DIR comes to be when all of it is there and\n' +
    'durable; it has to be absent or empty (or --force). Without root everything in it belongs to you, and devices are left out.',
  flags: [
    {
      name: 'rootfs',
      type: 'text',
      value: 'DIR',
      describe: 'unpack into this directory instead of snapshots',
    },
    ...OUTPUT_FLAGS,
    PLATFORM,
    SNAPSHOTTER,
    CODEC,
    JOBS,
    ...LAYER_LIMIT_FLAGS,
    PROGRESS,
    { name: 'print-chainid', type: 'bool', describe: 'print the chain ID of each unpacked platform' },
    ...REGISTRY_FLAGS,
  ],
  run: async (context, input) => {
    const target = input.text('rootfs');
    await (target === undefined ? toSnapshots(context) : toRootfs(context, target));
  },
};
