/**
 * A lost or damaged database. The index of `content/` still names the images: it is kept aside before a new database would rewrite
 * it, and given back to whoever records the images again (core/verbs/recover.ts).
 */
import { withOpen } from '../../core/async/cleanup.ts';
import { HawserError, isKind, messageOf } from '../../core/errors.ts';
import { parseDescriptor } from '../../core/oci/documents.ts';
import { type JsonObject, parseJson } from '../../core/oci/json.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Runtime } from '../../core/runtime.ts';
import type { LostImage } from '../../core/verbs/recover.ts';
import { problemOf } from './check-records.ts';
import { Owner, randomHex } from './owner.ts';
import { DATABASE, inspectRoot, normalizeRoot } from './root.ts';
import { checkVersion } from './schema.ts';

const INDEX = 'content/index.json';
/** Beside the database, as the root holds nothing else. */
const KEPT = `${DATABASE}.lost-index.json`;
const MAX_INDEX_BYTES = 1 << 28;
const SUFFIXES = ['', '-wal', '-shm'] as const;

/** To be called before a database may be made: an index that names images is copied when there is no database. */
export async function keepIndex(runtime: Runtime, root: string, call?: Call): Promise<void> {
  const { fs } = runtime;
  if (((await fs.stat(`${root}/${DATABASE}`, call))?.size ?? 0) > 0) return;
  if ((await fs.stat(`${root}/${INDEX}`, call))?.type !== 'file') return;
  if ((await fs.stat(`${root}/${KEPT}`, call)) !== undefined) return;
  const bytes = await fs.readFile(`${root}/${INDEX}`, MAX_INDEX_BYTES, call);
  if (namesOf(bytes).length === 0) return;
  const temporary = `${root}/${KEPT}.${randomHex(runtime, 8)}`;
  await withOpen(fs.open(temporary, 'exclusive', 0o600, call), async (file) => {
    await file.write(bytes, 0);
    await file.sync();
  });
  await fs.rename(temporary, `${root}/${KEPT}`, call);
  await fs.syncDir(root, call);
}

export interface Recovery {
  /** What the lost database had, as far as the index tells. */
  readonly lost: readonly LostImage[];
  /** Entries of the index that name no image. */
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
  if ((await fs.stat(`${root}/${KEPT}`, call)) === undefined) return { lost: [], unreadable: 0, movedTo };
  const entries = namesOf(await fs.readFile(`${root}/${KEPT}`, MAX_INDEX_BYTES, call));
  const lost = entries.flatMap((entry) => lostImage(entry) ?? []);
  return { lost, unreadable: entries.length - lost.length, movedTo };
}

/** Everything that was lost is recorded again. */
export async function endRecovery({ fs }: Runtime, root: string, call?: Call): Promise<void> {
  await fs.remove(`${normalizeRoot(root)}/${KEPT}`, { tree: true, ...call });
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
  const stamp = new Date(runtime.clock.now()).toISOString().replace(/[-:.]/g, '');
  const target = `${root}/${DATABASE}.damaged-${stamp}`;
  for (const suffix of SUFFIXES) {
    const path = `${root}/${DATABASE}${suffix}`;
    if ((await fs.stat(path, call)) !== undefined) await fs.rename(path, `${target}${suffix}`, call);
  }
  await fs.syncDir(root, call);
  return target;
}

/** The entries of an index; none of bytes that are no index. */
function namesOf(bytes: Uint8Array): readonly JsonObject[] {
  try {
    const { manifests } = parseJson(bytes, INDEX) as { manifests?: unknown };
    return Array.isArray(manifests) ? (manifests as JsonObject[]) : [];
  } catch {
    return [];
  }
}

function lostImage(entry: JsonObject): LostImage | undefined {
  try {
    const { annotations = {}, mediaType, digest, size } = parseDescriptor(entry, INDEX);
    const name = annotations['io.containerd.image.name'] ?? annotations['org.opencontainers.image.ref.name'];
    return name === undefined || name === '' ? undefined : { name, target: { mediaType, digest, size } };
  } catch (err) {
    if (messageOf(err) === '') throw err;
    return undefined;
  }
}
