/** The verb `unpack` into a directory: an image of the store becomes a plain tree that needs no store and no mount. */
import { withSoundBlob } from '../content/heal.ts';
import { HawserError } from '../errors.ts';
import type { Image } from '../images/image-store.ts';
import type { LayerSettings } from '../layers/layer-settings.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { applyFlat } from '../output/flat-tree.ts';
import { makeOutput } from '../output/output-directory.ts';
import { findPlace } from '../output/place.ts';
import { componentsOf } from '../paths.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import type { Runtime } from '../runtime.ts';
import { CAP_CHOWN, hasCapability, lackOf } from '../users/capabilities.ts';
import type { OwnerMode } from '../users/owner-policy.ts';
import { withJob } from './job.ts';
import type { FetchResult, StoreDeps } from './options.ts';
import { type PlannedImage, planImage, requireLayers } from './unpack.ts';

export interface OutputDeps extends StoreDeps {
  readonly runtime: Runtime;
}

export interface RootfsOptions extends Call {
  /** Absolute. */
  readonly dir: string;
  /** Replaces a directory that is not empty. */
  readonly force?: boolean | undefined;
  /** Where the result must not be: the store. */
  readonly keepOut?: readonly string[] | undefined;
  /** Not given: the host's. */
  readonly platform?: Platform | undefined;
  /** `jobs` has no say: the layers of one tree are applied one after another. */
  readonly layerSettings?: LayerSettings | undefined;
  readonly report?: Report | undefined;
}

/** What was unpacked, and where. */
export interface RootfsResult extends FetchResult {
  /** Of the image that was taken: `linux/arm64/v8`. */
  readonly platform: string;
  /** Normalised. */
  readonly dir: string;
}

/**
 * Makes the image's tree at `dir`, which is there and whole, or not there (core/output/output-directory.ts). Every diff ID is
 * checked before.
 */
export async function unpackRootfs(
  deps: OutputDeps,
  image: Image,
  options: RootfsOptions,
): Promise<RootfsResult> {
  let isPrivileged = false;
  const result = await toDirectory(deps, image, options, async (tree) => {
    isPrivileged = await tree('.');
  });
  if (isPrivileged && (await isOpenToAll(deps.runtime, result.dir))) {
    const why = 'has setuid programs or devices of the image, and every user of this machine can reach them';
    const message = `${result.dir} ${why}: keep it in a directory of mode 0700, or chmod go-rwx it`;
    options.report?.({ type: 'warning', message });
  }
  return result;
}

/** Whether users other than the owner can enter a directory: it and all those above it let them. */
async function isOpenToAll({ fs }: Pick<Runtime, 'fs'>, dir: string): Promise<boolean> {
  const names = componentsOf(dir);
  for (let count = names.length; count >= 0; count--) {
    // Where this cannot be seen, it is taken for open.
    const info = await fs.stat(`/${names.slice(0, count).join('/')}/.`).catch(() => undefined);
    if (info !== undefined && (info.mode & 0o001) === 0) return false;
  }
  return true;
}

/**
 * How a directory is filled: `tree` makes the image's tree at a path below it, or (`.`) as the directory itself, and returns
 * whether there are programs with rights of their own in it, or devices.
 */
export type Fill = (
  tree: (below: string) => Promise<boolean>,
  context: {
    readonly path: string;
    readonly planned: PlannedImage;
    readonly owner: OwnerMode;
    readonly signal: AbortSignal;
  },
) => Promise<void>;

/** Runs `fill` in a directory that gets its place, `options.dir`, when it is whole. */
export async function toDirectory(
  deps: OutputDeps,
  image: Image,
  options: RootfsOptions,
  fill: Fill,
): Promise<RootfsResult> {
  const { backend, runtime } = deps;
  return await withJob(deps, options, async ({ lease, signal, report }) => {
    await backend.leases.add(lease, { type: 'content', id: image.target.digest }, { signal });
    const planned = await planImage(deps, image, options.platform ?? deps.hostPlatform, { signal });
    await requireLayers(deps, image, planned, { signal });
    const owner = await chooseOwner(deps, { ...options, signal }, report);
    const { platform, steps } = planned;
    const chainId = steps.at(-1)?.chainId ?? '';
    const warn = (message: string) => report({ type: 'warning', message });
    const dir = await makeOutput(runtime, options.dir, { ...places(options), warn, signal }, async (path) => {
      report({ type: 'unpacking', platform, target: image.target.digest });
      const { content, applier } = backend;
      const guard = <T>(layer: Descriptor, work: () => Promise<T>) =>
        withSoundBlob({ content }, layer, { signal }, work);
      const treeDeps = { runtime, applier, report, guard };
      const treeOptions = { settings: { ...options.layerSettings, owner }, signal };
      const tree = (below: string) =>
        applyFlat(treeDeps, steps, below === '.' ? path : `${path}/${below}`, treeOptions);
      await fill(tree, { path, planned, owner, signal });
    });
    report({ type: 'unpacked', platform, chainId });
    return { name: image.name, target: image.target, platform, dir };
  });
}

/** Fails as `unpackRootfs` would for the directory and the owner: to be called before an image is fetched. */
export async function checkDirectory(runtime: Runtime, options: RootfsOptions): Promise<void> {
  await requireOwner(runtime, options);
  await findPlace(runtime, options.dir, { ...places(options), signal: options.signal });
}

function places({ force = false, keepOut = [] }: RootfsOptions) {
  return { force, keepOut };
}

/** Returns whether this process may give files away. FailedPrecondition when that is asked for and not so. */
export async function requireOwner(
  runtime: Runtime,
  { layerSettings, signal }: Pick<RootfsOptions, 'layerSettings' | 'signal'>,
): Promise<boolean> {
  const mayGive = await hasCapability(runtime, CAP_CHOWN, { signal });
  if (mayGive || layerSettings?.owner !== 'keep') return mayGive;
  const { why, hint } = lackOf(runtime, 'CAP_CHOWN', '--map-root-user --map-auto');
  throw new HawserError('FailedPrecondition', `Cannot keep the owners of files: ${why}`, {
    hint: `${hint}, or use --owner record`,
  });
}

async function chooseOwner(
  { runtime }: OutputDeps,
  options: RootfsOptions,
  report: Report,
): Promise<OwnerMode> {
  const mayGive = await requireOwner(runtime, options);
  const wanted = options.layerSettings?.owner ?? (mayGive ? 'keep' : undefined);
  if (wanted !== undefined) return wanted;
  const why = runtime.host.uid === 0 ? 'No CAP_CHOWN' : 'Not root';
  const message = `${why}: everything in ${options.dir} belongs to user ${runtime.host.uid}; --owner record notes whose it would be`;
  report({ type: 'warning', message });
  return 'ours';
}
