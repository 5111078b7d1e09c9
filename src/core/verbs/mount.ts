/** The verb `mount`: an image of the store at a directory, by way of a snapshot of its own. */
import { cleanupSignal } from '../async/abort.ts';
import { type Undo, undoable } from '../async/undo.ts';
import type { Labels } from '../content/content-store.ts';
import { HawserError, ifFound, isKind, messageOf, wrap } from '../errors.ts';
import type { Image } from '../images/image-store.ts';
import type { LayerSettings } from '../layers/layer-settings.ts';
import type { Leases } from '../leases/lease-store.ts';
import type { Platform } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { Mount } from '../ports/mounter.ts';
import { checkMountable } from '../snapshots/mountable.ts';
import type { Snapshotter } from '../snapshots/snapshotter.ts';
import { readIdMaps } from '../users/id-map.ts';
import {
  describeRecord,
  findRecord,
  IMAGE_LABEL,
  lookAtTarget,
  type MountRecord,
  type MountRuntime,
  removalHint,
  targetOf,
} from './mount-record.ts';
import type { StoreDeps, VerbOptions } from './options.ts';
import { planImage, unpackPlatform } from './unpack.ts';

export interface MountDeps extends StoreDeps {
  readonly runtime: MountRuntime;
}

export interface MountImageOptions extends VerbOptions {
  /** Absolute; an existing directory at which nothing is mounted. It is also the id of the lease and the key of the snapshot. */
  readonly target: string;
  /** Mounts a writable snapshot on top of the image. */
  readonly writable?: boolean | undefined;
  /** Lets setuid programs and device nodes of the image work. */
  readonly allowSuid?: boolean | undefined;
  /** Not given: the host's. */
  readonly platform?: Platform | undefined;
  /** For the snapshot. */
  readonly labels?: Labels | undefined;
  readonly snapshotter?: string | undefined;
  readonly layerSettings?: LayerSettings | undefined;
}

export interface MountedImage {
  readonly chainId: string;
  /** Normalised. */
  readonly target: string;
}

/**
 * Mounts one platform of an image, unpacking it first if need be. The lease keeps the snapshot until `unmountImage` removes
 * it. A snapshot that an earlier mount left at this target is mounted again when it is of the same layers and kind; else
 * FailedPrecondition, which names it. What fails removes only what this call made.
 */
export async function mountImage(
  deps: MountDeps,
  image: Image,
  options: MountImageOptions,
): Promise<MountedImage> {
  const { backend } = deps;
  const { signal = new AbortController().signal, report = () => {} } = options;
  const target = targetOf(options.target);
  const snapshotter = backend.snapshotter(options.snapshotter);
  const wanted = options.platform ?? deps.hostPlatform;
  const { steps } = await planImage(deps, image, wanted, { signal });
  const chainId = steps.at(-1)?.chainId ?? '';
  const record = await findRecord(backend, target, undefined, { signal });
  await requireFree(deps.runtime, target, record, { signal });
  if (record !== undefined) requireSame(record, { target, snapshotter, chainId, options });
  await undoable(async (undo) => {
    await takeLease(backend.leases, target, undo, { signal });
    const job = {
      deps,
      options: { ...options, snapshotter: snapshotter.name },
      lease: target,
      signal,
      report,
    };
    await unpackPlatform(job, image, wanted);
    await backend.sync({ signal });
    if (record === undefined) await makeSnapshot(snapshotter, { target, chainId, image, options }, undo);
    else await backend.leases.add(target, { type: `snapshots/${snapshotter.name}`, id: target }, { signal });
    const mounts = await snapshotter.mounts(target, { signal });
    checkMountable(mounts, snapshotter.name);
    await mountAt(deps.runtime, mounts, target, options);
  });
  return { chainId, target };
}

/** NotFound or FailedPrecondition unless the target is a directory at which nothing is mounted. */
async function requireFree(
  runtime: MountRuntime,
  target: string,
  record: MountRecord | undefined,
  call: Call,
): Promise<void> {
  const doing = `Cannot mount at ${target}`;
  let info: unknown;
  try {
    info = await runtime.fs.stat(`${target}/.`, call);
  } catch (err) {
    throw wrap(doing, err);
  }
  if (info === undefined) {
    const hint = `mkdir -p ${target}`;
    throw new HawserError('NotFound', `${doing}: there is no such directory`, { hint });
  }
  const { stack, isOurs } = await lookAtTarget(runtime, target, record, call);
  const top = stack.at(-1);
  if (top === undefined) return;
  if (record !== undefined && isOurs) {
    const why = `${describeRecord(record)} is mounted there`;
    throw new HawserError('FailedPrecondition', `${doing}: ${why}`, { hint: removalHint(record, target) });
  }
  const why = `a ${top.type} file system (${top.source}) is mounted there`;
  const hint = `Choose another directory, or one below it, or: umount ${target}`;
  throw new HawserError('FailedPrecondition', `${doing}: ${why}`, { hint });
}

interface Wanted {
  readonly target: string;
  readonly snapshotter: Snapshotter;
  readonly chainId: string;
  readonly options: MountImageOptions;
}

function requireSame(record: MountRecord, { target, snapshotter, chainId, options }: Wanted): void {
  const { info } = record;
  const kind = options.writable === true ? 'Active' : 'View';
  if (info.kind === kind && info.parent === chainId && record.snapshotter.name === snapshotter.name) return;
  const why = `${describeRecord(record)} belongs to it, though it is not mounted`;
  throw new HawserError('FailedPrecondition', `Cannot mount at ${target}: ${why}`, {
    hint: removalHint(record, target),
  });
}

/** A lease of that id may be there: a killed run left it, or its snapshot is there too. */
async function takeLease(leases: Leases, id: string, undo: Undo, { signal }: Call): Promise<void> {
  try {
    await leases.create({ id, signal });
  } catch (err) {
    if (isKind(err, 'AlreadyExists')) return;
    throw err;
  }
  undo(async () => {
    await ifFound(leases.delete(id, { signal: cleanupSignal() }));
  });
}

async function makeSnapshot(
  snapshotter: Snapshotter,
  { target, chainId, image, options }: Omit<Wanted, 'snapshotter'> & { readonly image: Image },
  undo: Undo,
): Promise<void> {
  const { writable, signal } = options;
  const labels = { ...options.labels, [IMAGE_LABEL]: image.name };
  const call = { labels, lease: target, signal };
  try {
    if (writable === true) await snapshotter.prepare(target, chainId, call);
    else await snapshotter.view(target, chainId, call);
  } catch (err) {
    if (!isKind(err, 'AlreadyExists')) throw err;
    const why = 'another process has just made a snapshot for it';
    throw new HawserError('FailedPrecondition', `Cannot mount at ${target}: ${why}`, {
      hint: 'Wait for the other process, or mount at another directory',
      cause: err,
    });
  }
  undo(async () => {
    await ifFound(snapshotter.remove(target, { signal: cleanupSignal() }));
  });
}

/** An image holds files of others: without `allowSuid` none of them gives its caller another's rights. */
async function mountAt(
  runtime: MountRuntime,
  mounts: readonly Mount[],
  target: string,
  { allowSuid = false, signal }: MountImageOptions,
): Promise<void> {
  const restricted = allowSuid ? [] : ['nosuid', 'nodev'];
  const all = mounts.map((mount) => ({ ...mount, options: [...mount.options, ...restricted] }));
  try {
    await (await runtime.mounter()).mount(all, target, { signal });
  } catch (err) {
    throw await explained(runtime, err, { signal });
  }
}

/** Root in a user namespace may mount only in a mount namespace that was made with it or after it. */
async function explained({ fs }: MountRuntime, err: unknown, call: Call): Promise<unknown> {
  if (!isKind(err, 'PermissionDenied')) return err;
  if (!(await readIdMaps(fs, call)).isNamespace) return err;
  return new HawserError('PermissionDenied', messageOf(err), {
    cause: err,
    hint: 'Mounting in a user namespace takes a mount namespace of its own: unshare --mount',
  });
}
