import { absolutePath } from '../../core/absolute-path.ts';
import { wrap } from '../../core/errors.ts';
import { writeTar } from '../../core/verbs/files-out.ts';
import { checkDirectory, unpackRootfs } from '../../core/verbs/rootfs.ts';
import { unpackImage } from '../../core/verbs/unpack.ts';
import { type NamesOf, text } from '../grammar/flag.ts';
import { DISPLAY_FLAGS, JOBS, PLATFORM, PRINT_CHAIN_ID, SNAPSHOTTER } from '../grammar/flags.ts';
import { GATE_FLAGS } from '../grammar/gate-flags.ts';
import { LAYER_FLAGS, layerSettings } from '../grammar/layer-flags.ts';
import { FETCH_FLAGS, FOREIGN_URLS, PULL } from '../grammar/transfer-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { type Context, withExisting, withLocalBackend } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { warner, withImage } from '../session/image-files.ts';
import { storeOf } from '../session/keep-out.ts';
import { OUTPUT_FLAGS, outputOptions, presentImage, vouched } from '../session/output-directory.ts';
import { mayBring } from '../session/pull-policy.ts';
import { displayed, platformsOf, type Shown, storeDeps } from '../session/transfer.ts';
import { DONE } from '../views/view.ts';
import { type Command, command } from './command.ts';

const ROOTFS = text({
  name: 'rootfs',
  value: 'DIR',
  describe: 'unpack into this directory instead of snapshots',
});
const TAR = text({
  name: 'tar',
  value: 'FILE|-',
  describe:
    'write the files of the image as one tar archive instead (- is standard output; .gz and .zst are compressed)',
});
const FLAGS = [
  ROOTFS,
  TAR,
  ...OUTPUT_FLAGS,
  ...GATE_FLAGS,
  PLATFORM,
  SNAPSHOTTER,
  JOBS,
  ...LAYER_FLAGS,
  ...DISPLAY_FLAGS,
  PRINT_CHAIN_ID,
  PULL,
  ...FETCH_FLAGS,
];
type UnpackContext = Context<NamesOf<typeof FLAGS>>;

function shown({ input }: UnpackContext): Shown {
  return { unpacks: true, printChainId: input.get(PRINT_CHAIN_ID) };
}

async function toSnapshots(context: UnpackContext): Promise<void> {
  const { input, signal } = context;
  for (const flag of [...OUTPUT_FLAGS, ...GATE_FLAGS, PULL]) {
    if (input.has(flag)) throw usageError(`flag --${flag.name} goes with --rootfs`);
  }
  await withExisting(context, async (backend) => {
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
        const present = await presentImage(context, backend, options.platform, report);
        const deps = { ...storeDeps(context, backend), runtime: context.runtime };
        return vouched(await unpackRootfs(deps, present.image, { ...options, report }), present);
      });
    },
    { readOnly: 'if-need-be', existing: !mayBring(context, context.input.arg(0)) },
  );
}

async function toTar(context: UnpackContext, target: string): Promise<void> {
  const { input, runtime, stdout, signal } = context;
  for (const flag of [
    ROOTFS,
    SNAPSHOTTER,
    JOBS,
    PRINT_CHAIN_ID,
    ...DISPLAY_FLAGS,
    ...OUTPUT_FLAGS,
    FOREIGN_URLS,
  ]) {
    if (input.has(flag)) throw usageError(`flag --${flag.name} does not go with --tar`);
  }
  if (target === '-' && stdout.isTerminal)
    throw usageError('an archive is not written to a terminal', 'Name a file, or pipe it to a program');
  const sink = { write: (bytes: Uint8Array) => stdout.write(bytes) };
  const to = target === '-' ? { sink } : { path: absolutePath(target, runtime.host) };
  const name = input.arg(0);
  await withImage(context, name, async (image) => {
    await writeTar(runtime, image, { to, keepOut: storeOf(context), warn: warner(context), signal }).catch(
      (err) => {
        throw wrap(`failed to write the files of "${name}"`, err);
      },
    );
  });
}

export const imagesUnpack: Command = command({
  path: ['images', 'unpack'],
  short: true,
  args: ['<ref>'],
  missing: 'please provide an image reference to unpack',
  summary: 'unpack an image into snapshots, or (--rootfs) into a directory, or (--tar) into an archive',
  details:
    'Into snapshots: the image has to be here already, nothing is pulled.\n' +
    'With --rootfs DIR: the tree of the image, fetched first if it is not here. DIR comes to be when all of it is there and\n' +
    'durable; it has to be absent or empty (or --force). Without root everything in it belongs to you, and devices are left out.\n' +
    'With --tar FILE: the same tree as one archive, with owners, times, attributes and hard links, without root; straight from the\n' +
    'registry when the image is not here (each layer is fetched twice then, a small one once), and nothing is stored. The same image\n' +
    'gives the same bytes. Nothing is written before every layer is verified.',
  flags: FLAGS,
  run: async (context, input) => {
    const [dir, tar] = [input.get(ROOTFS), input.get(TAR)];
    if (tar !== undefined) await toTar(context, tar);
    else await (dir === undefined ? toSnapshots(context) : toRootfs(context, dir));
    return DONE;
  },
});
