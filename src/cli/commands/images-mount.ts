import { cleanupSignal } from '../../core/async/abort.ts';
import type { Backend } from '../../core/backend.ts';
import { HawserError, isKind, messageOf } from '../../core/errors.ts';
import { parsePlatform } from '../../core/platforms/parse.ts';
import type { Mount } from '../../core/ports/mounter.ts';
import type { Snapshotter } from '../../core/snapshots/snapshotter.ts';
import { readIdMaps } from '../../core/users/id-map.ts';
import { unpackPlatform } from '../../core/verbs/unpack.ts';
import { bool, type NamesOf } from '../grammar/flag.ts';
import { LABEL, PLATFORM, SNAPSHOTTER } from '../grammar/flags.ts';
import { LAYER_FLAGS, layerSettings } from '../grammar/layer-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { safe } from '../render/text.ts';
import { type Context, print, warn, withBackend } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { labelsOf, storeDeps } from '../session/transfer.ts';
import { type Command, command } from './command.ts';

const MAX_WARNINGS = 100;

const RW = bool({ name: 'rw', describe: 'mount it writable: a fresh snapshot on top of the image' });
const FLAGS = [
  RW,
  { ...LABEL, describe: 'label for the snapshot (may be repeated)' },
  { ...PLATFORM, describe: "the platform to mount instead of this machine's" },
  SNAPSHOTTER,
  ...LAYER_FLAGS,
];
type MountContext = Context<NamesOf<typeof FLAGS>>;

/** A lease named after the target keeps the snapshot until `images unmount --rm`. */
async function mountImage(context: MountContext, backend: Backend): Promise<string> {
  const { signal, input } = context;
  const [name, target] = [input.arg(0), input.arg(1)];
  const { leases } = backend;
  const fresh = await createLease(leases, target, context);
  try {
    const snapshotter = backend.snapshotter(input.get(SNAPSHOTTER));
    const chainId = await unpacked(context, backend, snapshotter, { name, lease: target });
    const mounts = await takeSnapshot(context, snapshotter, chainId, target);
    try {
      await (await context.runtime.mounter()).mount(mounts, target, { signal });
    } catch (err) {
      await snapshotter.remove(target, { signal: cleanupSignal() });
      throw await explained(context, err);
    }
    return chainId;
  } catch (err) {
    if (fresh) await leases.delete(target, { signal: cleanupSignal() });
    throw err;
  }
}

/** Root in a user namespace may mount only in a mount namespace that came with it or after it. */
async function explained({ runtime, signal }: Context, err: unknown): Promise<unknown> {
  if (!isKind(err, 'PermissionDenied')) return err;
  if (!(await readIdMaps(runtime.fs, { signal })).isNamespace) return err;
  return new HawserError('PermissionDenied', messageOf(err), {
    cause: err,
    hint: 'Mounting in a user namespace takes a mount namespace of its own: unshare --mount',
  });
}

async function createLease(leases: Backend['leases'], id: string, { signal }: Context): Promise<boolean> {
  try {
    await leases.create({ id, signal });
    return true;
  } catch (err) {
    if (isKind(err, 'AlreadyExists')) return false;
    throw err;
  }
}

/** The chain ID, after unpacking what is not yet. */
async function unpacked(
  context: MountContext,
  backend: Backend,
  snapshotter: Snapshotter,
  { name, lease }: { name: string; lease: string },
): Promise<string> {
  const { signal, input } = context;
  const image = await findImage(backend.images, name, { signal });
  const warnings: string[] = [];
  const { chainId } = await unpackPlatform(storeDeps(context, backend), image, platformWanted(context), {
    lease,
    signal,
    snapshotter: snapshotter.name,
    report: (event) => {
      if (event.type === 'warning' && warnings.length < MAX_WARNINGS) warnings.push(event.message);
    },
    layerSettings: layerSettings(input),
  });
  await backend.sync({ signal });
  for (const message of warnings) await warn(context, `warning: ${message}`);
  return chainId;
}

function platformWanted({ input, platform }: MountContext) {
  const [first, ...more] = input.get(PLATFORM);
  if (more.length > 0) throw usageError('only one --platform can be mounted');
  return first === undefined ? platform : parsePlatform(first, platform);
}

async function takeSnapshot(
  { signal, input }: MountContext,
  snapshotter: Snapshotter,
  chainId: string,
  key: string,
): Promise<Mount[]> {
  const opts = { labels: labelsOf(input.get(LABEL)), lease: key, signal };
  try {
    if (input.get(RW)) await snapshotter.prepare(key, chainId, opts);
    else await snapshotter.view(key, chainId, opts);
  } catch (err) {
    if (!isKind(err, 'AlreadyExists')) throw err;
  }
  return await snapshotter.mounts(key, { signal });
}

export const imagesMount: Command = command({
  path: ['images', 'mount'],
  args: ['<ref>', '<target>'],
  missing: 'please provide an image reference to mount',
  summary: 'mount an image at a directory, unpacking it if need be',
  details:
    'The image has to be here already: nothing is pulled. The lease that keeps it has the target as its id.',
  flags: FLAGS,
  run: async (context, input) =>
    await withBackend(context, async (backend) => {
      if (input.arg(1) === '') throw usageError('please provide a target path to mount to');
      const chainId = await mountImage(context, backend);
      await print(context, `${safe(chainId)}\n${safe(input.arg(1))}\n`);
    }),
});
