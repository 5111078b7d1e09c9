/** What a store knows of a directory that an image was mounted at: the snapshot that has the directory as its key. */
import type { Backend } from '../backend.ts';
import { HawserError, ifFound, wrap } from '../errors.ts';
import { cleanPath } from '../paths.ts';
import type { Call } from '../ports/call.ts';
import type { Mount, Mounted } from '../ports/mounter.ts';
import type { Syscalls } from '../ports/syscalls.ts';
import type { Runtime } from '../runtime.ts';
import { isNameless, overlayPaths } from '../snapshots/overlay-paths.ts';
import type { SnapshotInfo, Snapshotter } from '../snapshots/snapshotter.ts';
import { identityOf } from '../trees/identity.ts';

export type MountRuntime = Pick<Runtime, 'fs' | 'mounter' | 'syscalls'>;

/** On the snapshot: the name of the image that is mounted, for messages. */
export const IMAGE_LABEL = 'hawser/mounted-image';

export interface MountRecord {
  readonly snapshotter: Snapshotter;
  readonly info: SnapshotInfo;
}

/** InvalidArgument unless absolute. One directory has one key, however it is spelled. */
export function targetOf(path: string): string {
  if (path.startsWith('/') && !path.includes('\0')) return cleanPath(path);
  throw new HawserError('InvalidArgument', `Cannot mount at ${JSON.stringify(path)}: not an absolute path`);
}

/** Asks the snapshotter named; without a name the default one first, then all others. */
export async function findRecord(
  backend: Backend,
  target: string,
  named: string | undefined,
  call: Call,
): Promise<MountRecord | undefined> {
  const first = backend.snapshotter(named);
  const others = named === undefined ? backend.snapshotterNames.filter((name) => name !== first.name) : [];
  const own = await ifFound(first.stat(target, call));
  if (own !== undefined) return { snapshotter: first, info: own };
  for (const name of others) {
    const snapshotter = backend.snapshotter(name);
    // A daemon may list a snapshotter that does not work.
    const info = await ifFound(snapshotter.stat(target, call), 'InvalidArgument', 'NotImplemented');
    if (info !== undefined) return { snapshotter, info };
  }
  return undefined;
}

/** For messages: `the read-only snapshot of docker.io/library/alpine:3 (sha256:...)`. */
export function describeRecord({ info }: MountRecord): string {
  const kind = info.kind === 'Active' ? 'writable' : 'read-only';
  const image = info.labels[IMAGE_LABEL];
  const layers = info.parent === '' ? 'no layers' : info.parent;
  return `the ${kind} snapshot of ${image === undefined ? layers : `${image} (${layers})`}`;
}

/** How to get rid of what is recorded. */
export function removalHint({ info }: MountRecord, target: string): string {
  const loss = info.kind === 'Active' ? ', with what was written to it' : '';
  return `hawser images unmount --rm ${target} removes it${loss}`;
}

/**
 * What is mounted at a directory, topmost last, and whether the topmost is what is recorded. NotFound where this process may
 * not see what is mounted (no /proc).
 */
export async function lookAtTarget(
  runtime: MountRuntime,
  target: string,
  record: MountRecord | undefined,
  call: Call,
): Promise<{ readonly stack: readonly Mounted[]; readonly isOurs: boolean }> {
  const mounter = await runtime.mounter();
  let stack: readonly Mounted[];
  try {
    stack = await mounter.stack(target, call);
  } catch (err) {
    throw wrap(`Cannot tell what is mounted at ${target}`, err);
  }
  const top = stack.at(-1);
  if (top === undefined || record === undefined) return { stack, isOurs: false };
  const mounts = await record.snapshotter.mounts(target, call);
  return { stack, isOurs: await shows(runtime, target, top, mounts) };
}

/** Whether the topmost mount at a directory shows the files of a snapshot, whose mounts are given. */
async function shows(
  runtime: MountRuntime,
  target: string,
  top: Mounted,
  mounts: readonly Mount[],
): Promise<boolean> {
  const mount = mounts.at(-1);
  if (mount === undefined) return false;
  const sys = await runtime.syscalls();
  if (mount.type === 'bind') return await isSame(sys, target, mount.source);
  return mount.type === top.type && (await isSameOverlay(sys, mount, top));
}

/** Overlays are told apart by the directory that takes what is written, else by the nearest layer. */
async function isSameOverlay(sys: Syscalls, wanted: Mount, shown: Mounted): Promise<boolean> {
  const [upper] = overlayPaths(wanted.options, 'upperdir');
  if (upper !== undefined) return await isSame(sys, upper, overlayPaths(shown.options, 'upperdir')[0]);
  const [layer] = overlayPaths(wanted.options, 'lowerdir');
  const [top = ''] = overlayPaths(shown.options, 'lowerdir', 'lowerdir+');
  if (!isNameless(top)) return await isSame(sys, layer, top);
  // The source says which layer is the nearest; a mount that an older hawser made does not.
  return shown.source === wanted.source || (await isSame(sys, layer, shown.source));
}

/** Whether two paths lead to one directory. */
async function isSame(sys: Syscalls, a: string | undefined, b: string | undefined): Promise<boolean> {
  if (a === undefined || b === undefined) return false;
  const one = await identityOf(sys, a);
  return a === b || (one !== undefined && one === (await identityOf(sys, b)));
}
