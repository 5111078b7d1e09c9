/** Where a directory for the user comes to be: looked at before any long work. */
import { fromUtf8 } from '../bytes.ts';
import { HawserError, ifFound, isKind, wrap } from '../errors.ts';
import { componentsOf } from '../paths.ts';
import type { Call } from '../ports/call.ts';
import type { DirEntry, FileInfo } from '../ports/file-system.ts';
import type { Mounter } from '../ports/mounter.ts';
import type { Syscalls } from '../ports/syscalls.ts';
import { identityOf } from '../trees/identity.ts';
import { requireOutside } from './outside.ts';
import { isStagingName, probeStaging, type StagingRuntime } from './staging.ts';

/**
 * `move`: nothing or an empty directory is there, which one rename replaces. `replace`: a directory with content is there,
 * which the new one is swapped for. `fill`: the directory itself has to stay, for it is a mount point, the working directory,
 * or in a directory that we may not change: the tree is built inside, and its entries move up.
 */
export type Way = 'move' | 'replace' | 'fill';

export interface Place {
  /** Normalised. */
  readonly dir: string;
  readonly parent: string;
  readonly name: string;
  readonly way: Way;
}

export interface PlaceOptions extends Call {
  /** Replaces a directory that is not empty. */
  readonly force: boolean;
  /** Directories that must not be replaced, nor be written into: the store. */
  readonly keepOut: readonly string[];
}

export type PlaceRuntime = StagingRuntime & { mounter(): Promise<Mounter>; syscalls(): Promise<Syscalls> };

/** mke2fs(8) makes it in a new file system. A tree may come beside it. */
const LOST_AND_FOUND = 'lost+found';

/** Where the staging directory is made. */
export function stagingParent({ way, dir, parent }: Place): string {
  return way === 'fill' ? dir : parent;
}

/**
 * Decides how `target` (absolute) is made. AlreadyExists for a directory that is not empty; FailedPrecondition for what is no
 * directory and for what must not be replaced; PermissionDenied where nothing can be made. Makes and removes an empty
 * directory to find out.
 */
export async function findPlace(
  runtime: PlaceRuntime,
  target: string,
  options: PlaceOptions,
): Promise<Place> {
  const parts = split(target);
  const { dir, parent } = parts;
  await requireOutside(runtime, dir, { ...options, doing: `Cannot unpack to ${dir}` });
  if ((await runtime.fs.stat(`${parent}/.`, options)) === undefined) {
    throw refused(dir, 'NotFound', `there is no directory ${parent}`, `mkdir -p ${parent}`);
  }
  const info = await runtime.fs.stat(dir, options);
  if (info !== undefined && info.type !== 'directory') {
    throw refused(
      dir,
      'FailedPrecondition',
      `it is a ${info.type}, not a directory`,
      'Name a path that is free, or a directory',
    );
  }
  const way = info === undefined ? 'move' : await wayInto(runtime, parts, info, options);
  const place = { ...parts, way };
  try {
    await probeStaging(runtime, stagingParent(place), parts.name, options);
  } catch (err) {
    throw wrap(`Cannot unpack to ${dir}`, err);
  }
  return place;
}

type Parts = Omit<Place, 'way'>;

function split(target: string): Parts {
  const parts = componentsOf(target);
  const name = parts.at(-1);
  if (!target.startsWith('/') || target.includes('\0') || name === undefined) {
    throw new HawserError(
      'InvalidArgument',
      `Cannot unpack to ${JSON.stringify(target)}: not a path below /`,
      { hint: 'Name a directory below /; hawser makes it' },
    );
  }
  return { dir: `/${parts.join('/')}`, parent: `/${parts.slice(0, -1).join('/')}`, name };
}

function refused(
  dir: string,
  kind: 'NotFound' | 'AlreadyExists' | 'FailedPrecondition',
  why: string,
  hint?: string,
): HawserError {
  return new HawserError(kind, `Cannot unpack to ${dir}: ${why}`, { hint });
}

/** Another process made or moved something to where a tree was about to be put. Nothing of that is touched. */
export function takenMeanwhile(dir: string, why: string, cause?: unknown): HawserError {
  return new HawserError('AlreadyExists', `Cannot unpack to ${dir}: something came there meanwhile: ${why}`, {
    hint: `Look at ${dir}: remove what came there, or choose another directory`,
    cause,
  });
}

/** For a directory that is there. */
async function wayInto(
  runtime: PlaceRuntime,
  { dir, parent, name }: Parts,
  info: FileInfo,
  options: PlaceOptions,
): Promise<Way> {
  const entries = await runtime.fs.list(dir, options);
  const content = entries.filter((entry) => !mayStay(entry, name));
  if (content.length > 0) return await wayOver(runtime, dir, entries, name, options);
  const staysFor = async (): Promise<boolean> =>
    entries.length > 0 ||
    (await isMountPoint(runtime, parent, name)) ||
    (await mountsAt(runtime, dir, options, 'PermissionDenied')).includes(dir) ||
    (await isWorkingDirectory(runtime, dir)) ||
    (await isHeld(runtime, parent, info, options));
  if (await staysFor()) return 'fill';
  try {
    await probeStaging(runtime, parent, name, options);
    return 'move';
  } catch (err) {
    if (isKind(err, 'PermissionDenied')) return 'fill';
    throw wrap(`Cannot unpack to ${dir}`, err);
  }
}

/** What may lie in a directory that counts as empty. */
export function mayStay(entry: DirEntry, name: string): boolean {
  if (entry.type !== 'directory') return false;
  return entry.name === LOST_AND_FOUND || isStagingName(entry.name, name);
}

/** For a directory with content. */
async function wayOver(
  runtime: PlaceRuntime,
  dir: string,
  entries: readonly DirEntry[],
  name: string,
  options: PlaceOptions,
): Promise<Way> {
  if (!options.force) {
    const stopped = entries.find((entry) => isStagingName(entry.name, name));
    const why = stopped === undefined ? '' : ` (a run was stopped here while it moved a tree into place)`;
    const hint = 'Choose another directory, or replace this one with all that is in it: --force';
    throw refused(dir, 'AlreadyExists', `it is not empty${why}`, hint);
  }
  const [mounted] = await mountsAt(runtime, dir, options);
  if (mounted !== undefined) {
    const hint =
      mounted === dir ? `Remove what is in ${dir}: an empty mount point is filled` : `umount ${mounted}`;
    throw refused(dir, 'FailedPrecondition', `something is mounted at ${mounted}`, hint);
  }
  if (await isWorkingDirectory(runtime, dir)) {
    const why = 'it is the working directory, which would be deleted';
    throw refused(dir, 'FailedPrecondition', why, 'Run this from another directory, or remove what is in it');
  }
  return 'replace';
}

/** Mount points at or below a directory. Where /proc is missing, or a failure is `tolerated`: none. */
async function mountsAt(
  runtime: PlaceRuntime,
  dir: string,
  call: Call,
  ...tolerated: 'PermissionDenied'[]
): Promise<readonly string[]> {
  const points = (await runtime.mounter()).mountpoints(dir, call);
  return (await ifFound(points, ...tolerated)) ?? [];
}

/** By the kernel's word on the two directories, for where /proc is missing. */
async function isMountPoint(runtime: PlaceRuntime, parent: string, name: string): Promise<boolean> {
  const sys = await runtime.syscalls();
  const look = async (): Promise<boolean> => {
    const above = sys.openRoot(`${parent}/.`);
    try {
      return sys.isMountPoint(above, fromUtf8(name));
    } finally {
      sys.closeDir(above);
    }
  };
  // In a directory that may not be read.
  return (await ifFound(look(), 'PermissionDenied')) ?? false;
}

/** In a directory with the sticky bit only the owners of it and of the entry may replace the entry (rename(2)). */
async function isHeld(
  { fs, host }: PlaceRuntime,
  parent: string,
  info: FileInfo,
  call: Call,
): Promise<boolean> {
  const above = await fs.stat(`${parent}/.`, call);
  const isSticky = above !== undefined && (above.mode & 0o1000) !== 0;
  return isSticky && host.uid !== 0 && ![above.uid, info.uid].includes(host.uid);
}

async function isWorkingDirectory(runtime: PlaceRuntime, dir: string): Promise<boolean> {
  const sys = await runtime.syscalls();
  let current: string;
  try {
    current = runtime.host.cwd();
  } catch {
    // It was deleted, or a sandbox hides it: then it is not this directory.
    return false;
  }
  const itself = await identityOf(sys, dir);
  return itself !== undefined && itself === (await identityOf(sys, current));
}
