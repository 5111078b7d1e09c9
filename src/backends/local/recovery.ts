/**
 * A lost or damaged database. The index of `content/` still names the images: it was kept aside before a new database would rewrite
 * it (lost.ts), and is given to whoever records the images again (core/verbs/recover.ts). Of several losses the last has each name.
 */
import type { Backend } from '../../core/backend.ts';
import { HawserError, isKind } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Runtime } from '../../core/runtime.ts';
import type { Leftovers, LostImage } from '../../core/verbs/recover.ts';
import { problemOf } from './check-records.ts';
import { entriesOf, INDEX, keepIndex, lossOf, lostImage, readIndex } from './lost.ts';
import { Owner } from './owner.ts';
import { DATABASE, inspectRoot, normalizeRoot } from './root.ts';
import { checkVersion } from './schema.ts';

const SUFFIXES = ['', '-wal', '-shm'] as const;

export interface Recovery {
  /** What the lost databases had, as far as the indexes tell. */
  readonly lost: readonly LostImage[];
  /** Entries of the indexes that name no image. */
  readonly unreadable: number;
  /** Where the damaged database is now; undefined when there was none, or it is whole. */
  readonly movedTo: string | undefined;
}

/**
 * Looks at the database. A damaged one is renamed, never removed; Unavailable while another process uses the store. NotFound without a
 * store. FailedPrecondition for a database of a newer hawser.
 */
export async function beginRecovery(runtime: Runtime, given: string, call?: Call): Promise<Recovery> {
  const root = normalizeRoot(given);
  const { fs } = runtime;
  const isThere = await inspectRoot(runtime, root, call);
  if (!isThere && (await fs.stat(`${root}/${INDEX}`, call)) === undefined) {
    throw new HawserError('NotFound', `There is no store at ${root}, and nothing of one`, {
      hint: 'Name the store with --root',
    });
  }
  const movedTo = (await isDamaged(runtime, root, call)) ? await moveAside(runtime, root, call) : undefined;
  await keepIndex(runtime, root, call);
  const { indexes } = await lossOf(runtime, root, call);
  const lost = new Map<string, LostImage>();
  let unreadable = 0;
  for (const name of indexes) {
    for (const entry of entriesOf(await readIndex(runtime, root, name, call))) {
      const image = lostImage(entry);
      if (image === undefined) unreadable++;
      else lost.set(image.name, image);
    }
  }
  return { lost: [...lost.values()].sort(byName), unreadable, movedTo };
}

function byName(a: LostImage, b: LostImage): number {
  return a.name < b.name ? -1 : 1;
}

/**
 * Removes the indexes of which nothing was skipped. Where directories of snapshots have no record, the last file of the loss stays
 * under another name, so that collections leave the directories alone.
 */
export async function endRecovery(
  runtime: Runtime,
  given: string,
  backend: Pick<Backend, 'survey'>,
  skipped: readonly { readonly name: string }[],
  call?: Call,
): Promise<Leftovers> {
  const root = normalizeRoot(given);
  const { fs } = runtime;
  const before = await lossOf(runtime, root, call);
  if (before.files.length === 0) return { directories: 0, keptBy: [] };
  const { strays } = await backend.survey({ sizes: false, ...call });
  const directories = strays.filter(({ type }) => type === 'snapshots').length;
  const names = new Set(skipped.map(({ name }) => name));
  let { length: left } = before.files;
  for (const index of before.indexes) {
    const entries = entriesOf(await readIndex(runtime, root, index, call));
    if (entries.some((entry) => names.has(lostImage(entry)?.name ?? ''))) continue;
    const path = `${root}/${index}`;
    if (--left > 0 || directories === 0) await fs.remove(path, { tree: true, ...call });
    else await fs.rename(path, `${root}/${DATABASE}.lost-${stamp(runtime)}`, call);
  }
  await fs.syncDir(root, call);
  const { files } = await lossOf(runtime, root, call);
  return { directories, keptBy: directories === 0 ? [] : files.map((name) => `${root}/${name}`) };
}

async function isDamaged(runtime: Runtime, root: string, call?: Call): Promise<boolean> {
  const path = `${root}/${DATABASE}`;
  if (((await runtime.fs.stat(path, call))?.size ?? 0) === 0) return false;
  try {
    const db = runtime.databases.open(path, { busyTimeout: 5000, access: 'read' });
    try {
      checkVersion(db, path);
      return problemOf(runtime, db) !== undefined;
    } finally {
      db.close();
    }
  } catch (err) {
    if (isKind(err, 'DataLoss', 'InvalidArgument')) return true;
    throw err;
  }
}

async function moveAside(runtime: Runtime, root: string, call?: Call): Promise<string> {
  const { fs } = runtime;
  const others = Owner.reader(runtime, `${root}/run`);
  for (const { name } of await fs.list(`${root}/run`, call)) {
    if (!name.endsWith('.lock') || (await others.look(name.slice(0, -'.lock'.length), call)) === 'dead')
      continue;
    throw new HawserError('Unavailable', `Cannot recover ${root}: another process uses the store`, {
      hint: 'Wait for that process, or end it',
    });
  }
  const target = `${root}/${DATABASE}.damaged-${stamp(runtime)}`;
  for (const suffix of SUFFIXES) {
    const path = `${root}/${DATABASE}${suffix}`;
    if ((await fs.stat(path, call)) !== undefined) await fs.rename(path, `${target}${suffix}`, call);
  }
  await fs.syncDir(root, call);
  return target;
}

function stamp({ clock }: Runtime): string {
  return new Date(clock.now()).toISOString().replace(/[-:.]/g, '');
}
