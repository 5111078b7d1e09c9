/**
 * What a lost or damaged database leaves in the root: the index of `content/` that named its images, kept beside the new database, and
 * the damaged file. While they are there, collections remove nothing that only the lost records could name.
 */
import { withOpen } from '../../core/async/cleanup.ts';
import { messageOf } from '../../core/errors.ts';
import { parseDescriptor } from '../../core/oci/documents.ts';
import { type JsonObject, parseJson } from '../../core/oci/json.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Runtime } from '../../core/runtime.ts';
import type { LostImage } from '../../core/verbs/recover.ts';
import { randomHex } from './owner.ts';
import { DATABASE } from './root.ts';

export const INDEX = 'content/index.json';
const MAX_INDEX_BYTES = 1 << 28;
/** In the root; the first loss has no number. */
const KEPT = /^hawser\.db\.lost-index(?:\.([1-9]\d{0,8}))?\.json$/;
const OF_RECORDS = /^hawser\.db\.(?:damaged|lost)-/;

/** What users are told of a store that has such indexes; undefined for none. */
export function lossWarning(indexes: readonly string[]): string | undefined {
  if (indexes.length === 0) return undefined;
  return `the database of this store was lost, and its blobs stay until that is settled: hawser recover, or remove ${indexes.join(' ')}`;
}

export interface Loss {
  /** The indexes of lost databases, oldest first: names in the root. While one is there, no blob's file goes. */
  readonly indexes: readonly string[];
  /** Also damaged databases. While one is there, no snapshot directory goes that had no record before. */
  readonly files: readonly string[];
}

/** Of a store that is only read, and whose database is gone, the index itself counts. */
export async function lossOf(runtime: Runtime, root: string, call?: Call): Promise<Loss> {
  const { fs } = runtime;
  if ((await fs.stat(`${root}/.`, call)) === undefined) return { indexes: [], files: [] };
  const names = (await fs.list(root, call)).filter(({ type }) => type === 'file').map(({ name }) => name);
  const indexes = names.filter((name) => KEPT.test(name)).sort((a, b) => turnOf(a) - turnOf(b));
  const files = names.filter((name) => OF_RECORDS.test(name));
  if ((await orphanedIndex(runtime, root, call)) === undefined) return { indexes, files };
  return { indexes: [...indexes, INDEX], files: [...files, INDEX] };
}

function turnOf(name: string): number {
  return Number(KEPT.exec(name)?.[1] ?? 1);
}

/** To be called before a database may be made: an index that names images is copied when there is no database. */
export async function keepIndex(runtime: Runtime, root: string, call?: Call): Promise<void> {
  const { fs } = runtime;
  const bytes = await orphanedIndex(runtime, root, call);
  if (bytes === undefined) return;
  const { indexes } = await lossOf(runtime, root, call);
  const last = indexes.filter((name) => name !== INDEX).at(-1);
  if (last !== undefined && isSame(await readIndex(runtime, root, last, call), bytes)) return;
  const name = `${DATABASE}.lost-index${last === undefined ? '' : `.${turnOf(last) + 1}`}.json`;
  const temporary = `${root}/${name}.${randomHex(runtime, 8)}`;
  await withOpen(fs.open(temporary, 'exclusive', 0o600, call), async (file) => {
    await file.write(bytes, 0);
    await file.sync();
  });
  await fs.rename(temporary, `${root}/${name}`, call);
  await fs.syncDir(root, call);
}

/** The index of a store without a database; undefined when there is a database, or the index names no image. */
async function orphanedIndex(runtime: Runtime, root: string, call?: Call): Promise<Uint8Array | undefined> {
  const { fs } = runtime;
  if (((await fs.stat(`${root}/${DATABASE}`, call))?.size ?? 0) > 0) return undefined;
  if ((await fs.stat(`${root}/${INDEX}`, call))?.type !== 'file') return undefined;
  const bytes = await readIndex(runtime, root, INDEX, call);
  return entriesOf(bytes).length === 0 ? undefined : bytes;
}

export async function readIndex(
  { fs }: Runtime,
  root: string,
  name: string,
  call?: Call,
): Promise<Uint8Array> {
  return await fs.readFile(`${root}/${name}`, MAX_INDEX_BYTES, call);
}

/** The entries of an index; none of bytes that are no index. */
export function entriesOf(bytes: Uint8Array): readonly JsonObject[] {
  try {
    const { manifests } = parseJson(bytes, INDEX) as { manifests?: unknown };
    return Array.isArray(manifests) ? (manifests as JsonObject[]) : [];
  } catch {
    return [];
  }
}

/** The image that an entry of an index names; undefined for an entry that names none. */
export function lostImage(entry: JsonObject): LostImage | undefined {
  try {
    const { annotations = {}, mediaType, digest, size } = parseDescriptor(entry, INDEX);
    const name = annotations['io.containerd.image.name'] ?? annotations['org.opencontainers.image.ref.name'];
    return name === undefined || name === '' ? undefined : { name, target: { mediaType, digest, size } };
  } catch (err) {
    if (messageOf(err) === '') throw err;
    return undefined;
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
