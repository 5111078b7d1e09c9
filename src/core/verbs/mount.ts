/** The verb `mount`: an image of the store at a directory, by way of a snapshot of its own. */
import { cleanupSignal } from '../async/abort.ts';
import type { Labels } from '../content/content-store.ts';
import { HawserError, isKind, messageOf } from '../errors.ts';
import type { Image } from '../images/image-store.ts';
import type { LayerSettings } from '../layers/layer-settings.ts';
import type { Leases } from '../leases/lease-store.ts';
import type { Platform } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { Mount } from '../ports/mounter.ts';
import type { Report } from '../progress/events.ts';
import type { Runtime } from '../runtime.ts';
import type { Snapshotter } from '../snapshots/snapshotter.ts';
import { readIdMaps } from '../users/id-map.ts';
import type { StoreDeps } from './options.ts';
import { unpackPlatform } from './unpack.ts';

export interface MountDeps extends StoreDeps {
  readonly runtime: Pick<Runtime, 'fs' | 'mounter'>;
}

export interface MountImageOptions extends Call {
  /** An existing directory. It is also the id of the lease and the key of the snapshot. */
  readonly target: string;
  /** Mounts a writable snapshot on top of the image. */
  readonly writable?: boolean | undefined;
  /** Not given: the host's. */
  readonly platform?: Platform | undefined;
  /** For the snapshot. */
  readonly labels?: Labels | undefined;
  readonly snapshotter?: string | undefined;
  readonly layerSettings?: LayerSettings | undefined;
  readonly report?: Report | undefined;
}

/**
 * Mounts one platform of an image, unpacking it first if need be, and returns the chain ID of its layers. The lease keeps
 * the snapshot until `unmountImage` removes it.
 */
export async function mountImage(deps: MountDeps, image: Image, options: MountImageOptions): Promise<string> {
  const { backend, runtime } = deps;
  const { target, signal } = options;
  const { leases } = backend;
  const isNew = await createLease(leases, target, options);
  try {
    const snapshotter = backend.snapshotter(options.snapshotter);
    const chainId = await unpacked(deps, image, snapshotter, options);
    const mounts = await takeSnapshot(snapshotter, chainId, options);
    try {
      await (await runtime.mounter()).mount(mounts, target, { signal });
    } catch (err) {
      await snapshotter.remove(target, { signal: cleanupSignal() });
      throw await explained(deps, err, options);
    }
    return chainId;
  } catch (err) {
    if (isNew) await leases.delete(target, { signal: cleanupSignal() });
    throw err;
  }
}

/** False when there is a lease of that id. */
async function createLease(leases: Leases, id: string, { signal }: Call): Promise<boolean> {
  try {
    await leases.create({ id, signal });
    return true;
  } catch (err) {
    if (isKind(err, 'AlreadyExists')) return false;
    throw err;
  }
}

/** The chain ID, after unpacking the layers that have no snapshot yet. */
async function unpacked(
  deps: MountDeps,
  image: Image,
  snapshotter: Snapshotter,
  {
    target,
    platform,
    layerSettings,
    report = () => {},
    signal = new AbortController().signal,
  }: MountImageOptions,
): Promise<string> {
  const options = { snapshotter: snapshotter.name, layerSettings };
  const job = { deps, options, lease: target, signal, report };
  const { chainId } = await unpackPlatform(job, image, platform ?? deps.hostPlatform);
  await deps.backend.sync({ signal });
  return chainId;
}

async function takeSnapshot(
  snapshotter: Snapshotter,
  chainId: string,
  { target, writable, labels, signal }: MountImageOptions,
): Promise<Mount[]> {
  const opts = { labels: labels ?? {}, lease: target, signal };
  try {
    if (writable === true) await snapshotter.prepare(target, chainId, opts);
    else await snapshotter.view(target, chainId, opts);
  } catch (err) {
    if (!isKind(err, 'AlreadyExists')) throw err;
  }
  return await snapshotter.mounts(target, { signal });
}

/** Root in a user namespace may mount only in a mount namespace that was made with it or after it. */
async function explained({ runtime }: MountDeps, err: unknown, { signal }: Call): Promise<unknown> {
  if (!isKind(err, 'PermissionDenied')) return err;
  if (!(await readIdMaps(runtime.fs, { signal })).isNamespace) return err;
  return new HawserError('PermissionDenied', messageOf(err), {
    cause: err,
    hint: 'Mounting in a user namespace takes a mount namespace of its own: unshare --mount',
  });
}
