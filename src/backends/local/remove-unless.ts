import { ifFound } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import { randomHex } from './owner.ts';
import type { Store } from './store.ts';

/**
 * Removes the file at `path`, unless `isGood` says, of the file renamed away, that it must stay: then it is put back, and the
 * result is true. False also for no file. A note keeps the collections of other processes off the file meanwhile.
 */
export async function removeUnless(
  store: Store,
  path: string,
  isGood: (aside: string) => Promise<boolean>,
  call?: Call,
): Promise<boolean> {
  const { db, owner, runtime } = store;
  const name = `content/ingest/${randomHex(runtime, 32)}`;
  const aside = store.path(name);
  const note = db.prepare('INSERT INTO doomed (path, owner) VALUES (?, ?)');
  await store.writeToFree(() => note.run(name, owner.id), call);
  try {
    if ((await ifFound(runtime.fs.rename(path, aside, call).then(() => true))) !== true) return false;
    const good = await isGood(aside);
    if (good) await runtime.fs.rename(aside, path);
    else await runtime.fs.remove(aside, { tree: true });
    return good;
  } finally {
    await store.tidy(() => db.prepare('DELETE FROM doomed WHERE path = ? AND owner = ?').run(name, owner.id));
  }
}
