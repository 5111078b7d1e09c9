/** Putting a tree that is whole and durable into its place, step by step. A step that fails undoes those before it. */

import { type Undo, undoable } from '../async/undo.ts';
import { fromUtf8 } from '../bytes.ts';
import { HawserError, hintOf, isKind, kindOf, messageOf, wrap } from '../errors.ts';
import type { FileSystem } from '../ports/file-system.ts';
import { fillPlace } from './fill-place.ts';
import type { Place, PlaceRuntime } from './place.ts';
import { type Staging, TRADE } from './staging.ts';

/**
 * Puts `staging.made` at its place, durably. Returns what is left to do once the staging directory is gone. With way
 * `replace` the old directory is `staging.trade` then; when all of this fails, it is in its place, or (if undoing fails too)
 * in `staging.trade`, which the error says.
 */
export async function publish(
  runtime: PlaceRuntime,
  staging: Staging,
  place: Place,
  warn: (message: string) => void,
): Promise<() => Promise<void>> {
  if (place.way === 'fill') return await fillPlace(runtime, staging, place, warn);
  if (place.way === 'move') await moveIn(runtime, staging, place);
  else await replace(runtime, staging, place);
  return async () => {};
}

async function moveIn({ fs }: PlaceRuntime, staging: Staging, { dir, parent }: Place): Promise<void> {
  const before = await fs.stat(dir);
  await undoable(async (undo) => {
    const mode = await open(fs, staging.made, undo);
    try {
      await fs.rename(staging.made, dir);
    } catch (err) {
      if (!isKind(err, 'AlreadyExists', 'FailedPrecondition')) throw err;
      throw wrap(`Cannot unpack to ${dir}: something came there meanwhile`, err);
    }
    undo(async () => {
      await fs.rename(dir, staging.made);
      if (before !== undefined) await fs.mkdir(dir, before.mode);
    });
    await close(fs, dir, mode, undo);
    await fs.syncDir(parent);
  });
}

/**
 * By one exchange where two names can be swapped; else the old directory is moved aside and the new one in. A kill in
 * between leaves the old one as `trade` in the staging directory, which no run removes.
 */
async function replace(runtime: PlaceRuntime, staging: Staging, place: Place): Promise<void> {
  const { fs } = runtime;
  const { dir, parent } = place;
  try {
    await undoable(async (undo) => {
      const modes = [await open(fs, staging.made, undo), await open(fs, dir, undo)] as const;
      if (!(await exchange(runtime, staging, place, undo))) await moveAside(fs, staging, dir, undo);
      await close(fs, dir, modes[0], undo);
      await close(fs, staging.trade, modes[1], undo);
      await fs.syncDir(parent);
    });
  } catch (err) {
    const isAside = await fs.stat(staging.trade).then(
      (info) => info !== undefined,
      () => true,
    );
    const where = isAside ? ` (look into ${staging.trade}: it may be what was there)` : '';
    const hint = hintOf(err) ?? `Remove what is in ${dir} yourself, or choose another directory`;
    throw new HawserError(kindOf(err), `Cannot replace ${dir}${where}: ${messageOf(err)}`, {
      cause: err,
      hint: isKind(err, 'FailedPrecondition') ? hint : hintOf(err),
    });
  }
}

/** False, with nothing changed, where two names cannot be swapped. */
async function exchange(
  runtime: PlaceRuntime,
  staging: Staging,
  { parent, name }: Place,
  undo: Undo,
): Promise<boolean> {
  const { fs } = runtime;
  const sys = await runtime.syscalls();
  const swap = async (): Promise<void> => {
    const from = sys.openRoot(staging.path);
    try {
      const to = sys.openRoot(`${parent}/.`);
      try {
        sys.rename(from, fromUtf8(TRADE), to, fromUtf8(name), 'exchange');
      } finally {
        sys.closeDir(to);
      }
    } finally {
      sys.closeDir(from);
    }
  };
  let isNamed = true;
  await fs.rename(staging.made, staging.trade);
  undo(async () => {
    if (isNamed) await fs.rename(staging.trade, staging.made);
  });
  try {
    await swap();
  } catch (err) {
    if (!isKind(err, 'NotImplemented')) throw err;
    await fs.rename(staging.trade, staging.made);
    isNamed = false;
    return false;
  }
  undo(swap);
  return true;
}

async function moveAside(fs: FileSystem, staging: Staging, dir: string, undo: Undo): Promise<void> {
  await fs.rename(dir, staging.trade);
  undo(() => fs.rename(staging.trade, dir));
  await fs.rename(staging.made, dir);
  undo(() => fs.rename(dir, staging.made));
}

/**
 * Moving a directory to another parent takes write permission on the directory itself (rename(2)). Returns the mode to
 * give it afterwards; undefined when it has that permission.
 */
async function open(fs: FileSystem, path: string, undo: Undo): Promise<number | undefined> {
  const mode = (await fs.stat(path))?.mode ?? 0o700;
  if ((mode & 0o200) !== 0) return undefined;
  await fs.chmod(path, mode | 0o200);
  undo(() => fs.chmod(path, mode));
  return mode;
}

async function close(fs: FileSystem, path: string, mode: number | undefined, undo: Undo): Promise<void> {
  if (mode === undefined) return;
  await fs.chmod(path, mode);
  undo(() => fs.chmod(path, mode | 0o200));
}
