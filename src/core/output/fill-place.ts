/** A directory that has to stay itself (a mount point, the working directory) gets what a tree has in it. */

import { type Undo, undoable } from '../async/undo.ts';
import { type ByteString, display } from '../bytes.ts';
import { HawserError, isKind, messageOf } from '../errors.ts';
import { type Dir, isDirectory, type Stat, type Syscalls } from '../ports/syscalls.ts';
import { copyAttributes, dirInode } from '../trees/inode.ts';
import { mayStay, type Place, type PlaceRuntime, takenMeanwhile } from './place.ts';
import type { Staging } from './staging.ts';

/**
 * Moves the entries of `staging.made` up into the directory, which must be empty but for what may stay, and gives it the
 * attributes of `made`. Not one step: a kill leaves some of them there, and the staging directory beside them. Returns what
 * is left to do when the staging directory is gone.
 */
export async function fillPlace(
  runtime: PlaceRuntime,
  staging: Staging,
  place: Place,
  warn: (message: string) => void,
): Promise<() => Promise<void>> {
  const { dir, name } = place;
  const sys = await runtime.syscalls();
  const met = (await runtime.fs.list(dir)).find((entry) => !mayStay(entry, name));
  if (met !== undefined) throw takenMeanwhile(dir, `there is ${JSON.stringify(met.name)} now`);
  return await withDirs(sys, [await staging.made.open(), dir], async (made, target) => {
    const root = sys.fstat(made);
    return await undoable(async (undo) => {
      moveUp(sys, { made, target, dir }, undo);
      const described = describeRoot(sys, { made, root, target, dir, warn }, undo);
      sys.flush();
      await runtime.fs.syncDir(dir);
      return async () => {
        if (described) await settleRoot(runtime, dir, root);
      };
    });
  });
}

/**
 * Nothing is replaced. Moving an entry takes write permission on the directories, and on the entry if that is one (rename(2)).
 */
function moveUp(
  sys: Syscalls,
  { made, target, dir }: Pick<Described, 'made' | 'target' | 'dir'>,
  undo: Undo,
): void {
  const own = sys.fstat(made).mode & 0o7777;
  if ((own & 0o300) !== 0o300) {
    sys.chmodDir(made, own | 0o300);
    undo(async () => sys.chmodDir(made, own));
  }
  const moved: { readonly name: ByteString; readonly closed: number | undefined }[] = [];
  undo(async () => {
    for (const { name, closed } of moved.reverse()) {
      if (closed !== undefined) sys.chmod(target, name, closed | 0o200);
      sys.rename(target, name, made, name, 'new');
    }
  });
  for (const name of sys.list(made)) {
    const stat = sys.lstat(made, name);
    const mode = (stat?.mode ?? 0) & 0o7777;
    const closed = stat !== undefined && isDirectory(stat) && (mode & 0o200) === 0 ? mode : undefined;
    if (closed !== undefined) sys.chmod(made, name, mode | 0o200);
    try {
      sys.rename(made, name, target, name, 'new');
    } catch (err) {
      throw isKind(err, 'AlreadyExists') ? taken(dir, name, err) : err;
    }
    moved.push({ name, closed });
    if (closed !== undefined) sys.chmod(target, name, mode);
  }
}

/** What may stay in a directory has this name too, or something has just come there. */
function taken(dir: string, name: ByteString, cause: unknown): HawserError {
  const shown = JSON.stringify(display(name));
  return new HawserError(
    'AlreadyExists',
    `Cannot unpack to ${dir}: there is ${shown}, and the image has that too`,
    {
      hint: `Remove ${shown} from ${dir}, or choose another directory`,
      cause,
    },
  );
}

interface Described {
  readonly made: Dir;
  readonly root: Stat;
  readonly target: Dir;
  readonly dir: string;
  readonly warn: (message: string) => void;
}

/** False, with a warning, where the directory is another user's: it keeps its owner, mode and times then. */
function describeRoot(sys: Syscalls, { made, root, target, dir, warn }: Described, undo: Undo): boolean {
  const before = sys.fstat(target);
  undo(async () => {
    sys.chownDir(target, before.uid, before.gid);
    sys.chmodDir(target, before.mode & 0o7777);
    sys.utimesDir(target, before.atime, before.mtime);
  });
  try {
    copyAttributes(dirInode(sys, made), root, dirInode(sys, target));
    // The staging directory is still to be removed from it.
    sys.chmodDir(target, (root.mode & 0o7777) | 0o700);
    return true;
  } catch (err) {
    if (!isKind(err, 'PermissionDenied')) throw err;
    warn(`${dir} keeps its own owner and mode: ${messageOf(err)}`);
    return false;
  }
}

async function settleRoot(runtime: PlaceRuntime, dir: string, root: Stat): Promise<void> {
  const sys = await runtime.syscalls();
  const target = sys.openRoot(dir);
  try {
    sys.chmodDir(target, root.mode & 0o7777);
    sys.utimesDir(target, root.atime, root.mtime);
    sys.flush();
  } finally {
    sys.closeDir(target);
  }
  await runtime.fs.syncDir(dir);
}

/** Closes both. The second is opened by its path, which must not be that of a symlink. */
async function withDirs<T>(
  sys: Syscalls,
  [first, path]: readonly [Dir, string],
  work: (first: Dir, second: Dir) => Promise<T>,
): Promise<T> {
  try {
    const second = sys.openRoot(path);
    try {
      return await work(first, second);
    } finally {
      sys.closeDir(second);
    }
  } finally {
    sys.closeDir(first);
  }
}
