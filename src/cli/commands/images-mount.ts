import { absolutePath } from '../../core/absolute-path.ts';
import type { Backend } from '../../core/backend.ts';
import { parsePlatform } from '../../core/platforms/parse.ts';
import { type MountedImage, mountImage } from '../../core/verbs/mount.ts';
import { bool, type NamesOf } from '../grammar/flag.ts';
import { JSON_DOCUMENT, LABEL, PLATFORM, SNAPSHOTTER } from '../grammar/flags.ts';
import { LAYER_FLAGS, layerSettings } from '../grammar/layer-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { type Context, warn, withExisting } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { labelsOf, storeDeps } from '../session/transfer.ts';
import { type Command, command } from './command.ts';

const MAX_WARNINGS = 100;

const RW = bool({ name: 'rw', describe: 'mount it writable: a fresh snapshot on top of the image' });
const ALLOW_SUID = bool({
  name: 'allow-suid',
  describe: 'let setuid programs and device nodes of the image work there (default: nosuid, nodev)',
});
const FLAGS = [
  RW,
  ALLOW_SUID,
  { ...LABEL, describe: 'label for the snapshot (may be repeated)' },
  { ...PLATFORM, describe: "the platform to mount instead of this machine's" },
  SNAPSHOTTER,
  ...LAYER_FLAGS,
  JSON_DOCUMENT,
];
type MountContext = Context<NamesOf<typeof FLAGS>>;

/** Warnings are printed once the mount is there. */
async function mount(context: MountContext, backend: Backend): Promise<MountedImage> {
  const { input, runtime, signal } = context;
  const image = await findImage(backend.images, input.arg(0), { signal });
  const warnings: string[] = [];
  const mounted = await mountImage({ ...storeDeps(context, backend), runtime }, image, {
    target: absolutePath(input.arg(1), runtime.host),
    writable: input.get(RW),
    allowSuid: input.get(ALLOW_SUID),
    platform: platformWanted(context),
    labels: labelsOf(input.get(LABEL)),
    snapshotter: input.get(SNAPSHOTTER),
    layerSettings: layerSettings(input),
    report: (event) => {
      if (event.type === 'warning' && warnings.length < MAX_WARNINGS) warnings.push(event.message);
    },
    signal,
  });
  for (const message of warnings) await warn(context, `warning: ${message}`);
  return mounted;
}

function platformWanted({ input, platform }: MountContext) {
  const [first, ...more] = input.get(PLATFORM);
  if (more.length > 0) throw usageError('only one --platform can be mounted');
  return first === undefined ? platform : parsePlatform(first, platform);
}

export const imagesMount: Command = command({
  path: ['images', 'mount'],
  short: true,
  args: ['<ref>', '<target>'],
  missing: 'please provide an image reference to mount',
  summary: 'mount an image at a directory, unpacking it if need be',
  details:
    'The image has to be here already: nothing is pulled. The lease that keeps it has the target as its id.',
  flags: FLAGS,
  run: async (context, input) =>
    await withExisting(context, async (backend) => {
      if (input.arg(1) === '') throw usageError('please provide a target path to mount to');
      const { chainId, target } = await mount(context, backend);
      const json = input.get(JSON_DOCUMENT);
      const members = { chainId, target };
      return { view: { type: 'answer', of: 'mounted', lines: [chainId, target], members, json } };
    }),
});
