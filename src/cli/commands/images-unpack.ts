import { checkDirectory, unpackRootfs } from '../../core/verbs/rootfs.ts';
import { unpackImage } from '../../core/verbs/unpack.ts';
import { type NamesOf, text } from '../grammar/flag.ts';
import { JOBS, PLATFORM, PRINT_CHAIN_ID, PROGRESS, SNAPSHOTTER } from '../grammar/flags.ts';
import { LAYER_FLAGS, layerSettings } from '../grammar/layer-flags.ts';
import { FETCH_FLAGS } from '../grammar/transfer-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { type Context, withBackend, withLocalBackend } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { OUTPUT_FLAGS, outputOptions, presentImage } from '../session/output-directory.ts';
import { displayed, platformsOf, type Shown, storeDeps } from '../session/transfer.ts';
import { DONE } from '../views/view.ts';
import { type Command, command } from './command.ts';

const ROOTFS = text({
  name: 'rootfs',
  value: 'DIR',
  describe: 'unpack into this directory instead of snapshots',
});
const FLAGS = [
  ROOTFS,
  ...OUTPUT_FLAGS,
  PLATFORM,
  SNAPSHOTTER,
  JOBS,
  ...LAYER_FLAGS,
  PROGRESS,
  PRINT_CHAIN_ID,
  ...FETCH_FLAGS,
];
type UnpackContext = Context<NamesOf<typeof FLAGS>>;

function shown({ input }: UnpackContext): Shown {
  return { unpacks: true, printChainId: input.get(PRINT_CHAIN_ID) };
}

async function toSnapshots(context: UnpackContext): Promise<void> {
  const { input, signal } = context;
  for (const flag of OUTPUT_FLAGS) {
    if (input.has(flag)) throw usageError(`flag --${flag.name} goes with --rootfs`);
  }
  await withBackend(context, async (backend) => {
    const image = await findImage(backend.images, input.arg(0), { signal });
    await displayed(context, shown(context), (report) =>
      unpackImage(storeDeps(context, backend), image, {
        platforms: platformsOf(context),
        snapshotter: input.get(SNAPSHOTTER),
        layerSettings: { ...layerSettings(input), jobs: input.get(JOBS) },
        report,
        signal,
      }),
    );
  });
}

async function toRootfs(context: UnpackContext, target: string): Promise<void> {
  if (context.input.has(SNAPSHOTTER))
    throw usageError('--rootfs makes no snapshots: leave --snapshotter away');
  await withLocalBackend(
    context,
    async (backend) => {
      const options = outputOptions(context, backend, target);
      await checkDirectory(context.runtime, options);
      await displayed(context, shown(context), async (report) => {
        const image = await presentImage(context, backend, options.platform, report);
        const deps = { ...storeDeps(context, backend), runtime: context.runtime };
        return await unpackRootfs(deps, image, { ...options, report });
      });
    },
    'if-need-be',
  );
}

export const imagesUnpack: Command = command({
  path: ['images', 'unpack'],
  short: true,
  args: ['<ref>'],
  missing: 'please provide an image reference to unpack',
  summary: 'unpack an image into snapshots, or (--rootfs) into a directory',
  details:
    'Into snapshots: the image has to be here already, nothing is pulled.\n' +
    'With --rootfs DIR: the tree of the image, fetched first if it is not here. DIR comes to be when all of it is there and\n' +
    'durable; it has to be absent or empty (or --force). Without root everything in it belongs to you, and devices are left out.',
  flags: FLAGS,
  run: async (context, input) => {
    const target = input.get(ROOTFS);
    await (target === undefined ? toSnapshots(context) : toRootfs(context, target));
    return DONE;
  },
});
