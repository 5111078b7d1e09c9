/**
 * Room that the store keeps for itself (`spare`): on a full disk, what frees space has to be written down first. Given up by
 * a transaction that removes something, and made again by the next opening that finds room.
 */
import { closingAfter, withOpen } from '../../core/async/cleanup.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Runtime } from '../../core/runtime.ts';

const FILE = 'spare';
/** Bytes: for the log of a transaction that removes many records, and for a new index.json. */
const SIZE = 1 << 20;
const PIECE = 1 << 16;

/**
 * Does nothing when the spare room is there, or there is no room for it. The file is made at `temporary`, which is this process's,
 * and gets its name when it is whole.
 */
export async function makeSpare(
  { fs, host }: Runtime,
  root: string,
  temporary: string,
  call?: Call,
): Promise<void> {
  const path = `${root}/${FILE}`;
  if (((await fs.stat(path, call))?.size ?? 0) >= SIZE) return;
  try {
    await withOpen(fs.open(temporary, 'exclusive', 0o600, call), async (file) => {
      // Random, so that a file system that compresses keeps the room.
      for (let at = 0; at < SIZE; at += PIECE) await file.write(host.random(PIECE), at);
    });
    await fs.rename(temporary, path, call);
  } catch {
    await fs.remove(temporary, { tree: true }).catch(() => {});
    call?.signal?.throwIfAborted();
  }
}

/** ResourceExhausted when there is no room for the few records of a verb that only reads. `path` is made and removed. */
export async function requireRoom({ fs }: Runtime, path: string, call?: Call): Promise<void> {
  const file = await fs.open(path, 'exclusive', 0o600, call);
  await closingAfter(
    () =>
      closingAfter(
        () => file.write(new Uint8Array(2 * PIECE), 0),
        () => file.close(),
      ),
    () => fs.remove(path, { tree: true }),
  );
}

/** False when there was none. */
export async function giveUpSpare({ fs }: Runtime, root: string): Promise<boolean> {
  const path = `${root}/${FILE}`;
  if ((await fs.stat(path)) === undefined) return false;
  await fs.remove(path, { tree: true });
  await fs.syncDir(root).catch(() => {});
  return true;
}
