/** Putting a tree that is whole and durable into its place, step by step. A step that fails undoes those before it. */

import { type Undo, undoable } from '../async/undo.ts';
import { errnoOf, HawserError, hintOf, isKind, kindOf, messageOf } from '../errors.ts';
import { fillPlace } from './fill-place.ts';
import { type Place, type PlaceRuntime, takenMeanwhile } from './place.ts';
import type { Spot } from './spot.ts';
import type { Staging } from './staging.ts';

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

/** How a rename over an empty directory fails where that directory is none any more, has entries, or is mounted on. */
const TAKEN: ReadonlySet<string> = new Set(['ENOTEMPTY', 'ENOTDIR', 'EISDIR', 'EBUSY']);

async function moveIn({ fs }: PlaceRuntime, staging: Staging, { dir, parent, name }: Place): Promise<void> {
  const [made, place] = [staging.made, staging.beside(name)];
  const before = await place.stat();
  await undoable(async (undo) => {
    const mode = await open(made, undo);
    try {
      await made.move(place);
    } catch (err) {
      if (!isKind(err, 'AlreadyExists') && !TAKEN.has(errnoOf(err) ?? '')) throw err;
      throw takenMeanwhile(dir, messageOf(err), err);
    }
    undo(async () => {
      await place.move(made);
      if (before !== undefined) await place.makeDirectory(before.mode & 0o7777);
    });
    await close(place, mode, undo);
    await fs.syncDir(parent);
  });
}

/**
 * By one exchange where two names can be swapped; else the old directory is moved aside and the new one in. A kill in
 * between leaves the old one as `trade` in the staging directory, which no run removes.
 */
async function replace({ fs }: PlaceRuntime, staging: Staging, { dir, parent, name }: Place): Promise<void> {
  const place = staging.beside(name);
  try {
    await undoable(async (undo) => {
      const modes = [await open(staging.made, undo), await open(place, undo)] as const;
      if (!(await exchange(staging, place, undo))) await moveAside(staging, place, undo);
      await close(place, modes[0], undo);
      await close(staging.trade, modes[1], undo);
      await fs.syncDir(parent);
    });
  } catch (err) {
    const isAside = await staging.trade.exists().catch(() => true);
    const where = isAside ? ` (look into ${staging.tradePath}: it may be what was there)` : '';
    const hint = hintOf(err) ?? `Remove what is in ${dir} yourself, or choose another directory`;
    throw new HawserError(kindOf(err), `Cannot replace ${dir}${where}: ${messageOf(err)}`, {
      cause: err,
      hint: isKind(err, 'FailedPrecondition') ? hint : hintOf(err),
    });
  }
}

/** False, with nothing changed, where two names cannot be swapped. */
async function exchange({ made, trade }: Staging, place: Spot, undo: Undo): Promise<boolean> {
  let isNamed = true;
  await made.move(trade);
  undo(async () => {
    if (isNamed) await trade.move(made);
  });
  try {
    await trade.move(place, 'exchange');
  } catch (err) {
    if (!isKind(err, 'NotImplemented')) throw err;
    await trade.move(made);
    isNamed = false;
    return false;
  }
  undo(() => trade.move(place, 'exchange'));
  return true;
}

async function moveAside({ made, trade }: Staging, place: Spot, undo: Undo): Promise<void> {
  await place.move(trade);
  undo(() => trade.move(place));
  await made.move(place);
  undo(() => place.move(made));
}

/**
 * Moving a directory to another parent takes write permission on the directory itself (rename(2)). Returns the mode to
 * give it afterwards; undefined when it has that permission.
 */
async function open(spot: Spot, undo: Undo): Promise<number | undefined> {
  const mode = ((await spot.stat())?.mode ?? 0o700) & 0o7777;
  if ((mode & 0o200) !== 0) return undefined;
  await spot.chmod(mode | 0o200);
  undo(() => spot.chmod(mode));
  return mode;
}

async function close(spot: Spot, mode: number | undefined, undo: Undo): Promise<void> {
  if (mode === undefined) return;
  await spot.chmod(mode);
  undo(() => spot.chmod(mode | 0o200));
}
