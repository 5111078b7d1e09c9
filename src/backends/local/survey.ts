/** Everything that the store has, read and not changed: for what a collection would do, and for what takes room. */
import type { GcState } from '../../core/gc/graph.ts';
import { nodeKey } from '../../core/gc/graph.ts';
import type { GcNode } from '../../core/gc/references.ts';
import type { Stray, Survey, SurveyedNamespace } from '../../core/gc/survey.ts';
import { isExtractKey } from '../../core/layers/extract-key.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Row } from '../../core/ports/database.ts';
import { lookAtOwners } from './collect.ts';
import { bytesIn, type Files, listFiles } from './files.ts';
import { loadState, namespaces } from './gc-state.ts';
import { type Loss, lossOf } from './lost.ts';
import { notMounted } from './mounted.ts';
import { DATABASE, POLICY } from './root.ts';
import { number, text } from './rows.ts';
import type { Store } from './store.ts';

interface SnapshotRow {
  readonly ns: string;
  readonly node: GcNode;
  readonly id: number;
  readonly path: string;
  /** Undefined when it was not worked out yet. */
  readonly size: number | undefined;
  /** A dead process was extracting a layer into the snapshot. */
  readonly abandoned: boolean;
}

function snapshotRow(store: Store, row: Row): SnapshotRow {
  const [id, snapshotter, name] = [number(row, 'id'), text(row, 'snapshotter'), text(row, 'name')];
  const extracting = text(row, 'kind') === 'Active' && isExtractKey(name);
  return {
    ns: text(row, 'ns'),
    node: { type: `snapshots/${snapshotter}`, id: name },
    id,
    path: `snapshots/${snapshotter}/${id}`,
    size: row.size === null ? undefined : number(row, 'size'),
    abandoned: extracting && text(row, 'ns') === store.namespace && store.owner.isDead(text(row, 'owner')),
  };
}

async function snapshotRows(store: Store, call?: Call): Promise<SnapshotRow[]> {
  const rows = store.db.prepare('SELECT * FROM snapshots').all();
  for (const row of rows) {
    if (text(row, 'kind') === 'Active') await store.owner.look(text(row, 'owner'), call);
  }
  return rows.map((row) => snapshotRow(store, row));
}

/** Bytes of what stands at a path: 0 when nothing does. */
async function usageOf(store: Store, path: string, call?: Call): Promise<number> {
  const { fs, workers } = store.runtime;
  const info = await fs.stat(store.path(path), call);
  if (info === undefined) return 0;
  return info.type === 'directory' ? (await workers.usage(store.path(path), call)).size : info.size;
}

/** How far each ingest has come, and when its last byte came. */
async function ingestFiles(store: Store, call?: Call): Promise<Map<string, { size: number; mtime: number }>> {
  const found = new Map<string, { size: number; mtime: number }>();
  for (const row of store.db.prepare('SELECT dir FROM ingests').all()) {
    const dir = text(row, 'dir');
    const data = await store.runtime.fs.stat(`${store.path(dir)}/data`, call);
    if (data !== undefined) found.set(dir, data);
  }
  return found;
}

function without(state: GcState, broken: readonly GcNode[]): GcState {
  const keys = new Set(broken.map(({ type, id }) => nodeKey(type, id)));
  if (keys.size === 0) return state;
  const stays = (one: GcState['snapshots'][number]) =>
    !keys.has(nodeKey(`snapshots/${one.snapshotter}`, one.name));
  return { ...state, snapshots: state.snapshots.filter(stays) };
}

/** What the records of one namespace take. */
function bytesOf(
  store: Store,
  ns: string,
  sizes: ReadonlyMap<string, number>,
  ingests: ReadonlyMap<string, { readonly size: number }>,
): Map<string, number> {
  const bytes = new Map<string, number>();
  for (const row of store.db.prepare('SELECT digest FROM blobs WHERE ns = ?').all(ns)) {
    const digest = text(row, 'digest');
    bytes.set(nodeKey('content', digest), sizes.get(digest) ?? 0);
  }
  for (const row of store.db.prepare('SELECT ref, dir FROM ingests WHERE ns = ?').all(ns)) {
    bytes.set(nodeKey('ingests', text(row, 'ref')), ingests.get(text(row, 'dir'))?.size ?? 0);
  }
  return bytes;
}

/** Files without a record in any namespace. What a mount shows stays. */
async function straysOf(
  store: Store,
  files: Files,
  known: readonly SnapshotRow[],
  call: { sizes?: boolean } & Call,
): Promise<Stray[]> {
  const { db } = store;
  const named = db.prepare('SELECT 1 FROM blobs WHERE digest = ? LIMIT 1');
  const written = db.prepare('SELECT 1 FROM ingests WHERE dir = ?');
  const staged = db.prepare('SELECT 1 FROM staging WHERE id = ?');
  const strays: Stray[] = [];
  for (const [id, { digest, size }] of files.blobs) {
    if (named.get(digest) === undefined) strays.push({ type: 'content', id, bytes: size, digest });
  }
  for (const id of files.ingests) {
    if (written.get(id) === undefined)
      strays.push({ type: 'ingests', id, bytes: await usageOf(store, id, call) });
  }
  const ids = new Set(known.map(({ id }) => id));
  const orphans = files.snapshots.filter(({ id }) => !ids.has(id) && staged.get(id) === undefined);
  const paths = orphans.map(({ path }) => path);
  for (const id of await notMounted(store.runtime, store.root, paths, new Set(paths), call)) {
    strays.push({ type: 'snapshots', id, bytes: call.sizes === false ? 0 : await usageOf(store, id, call) });
  }
  return strays;
}

function keptTypes({ indexes, files }: Loss): ReadonlySet<Stray['type']> {
  const kept = new Set<Stray['type']>();
  if (indexes.length > 0) kept.add('content');
  if (files.length > 0) kept.add('snapshots');
  return kept;
}

async function recordBytes(store: Store, call?: Call): Promise<number> {
  const inRoot = await bytesIn(
    store,
    '.',
    (name) => name.startsWith(DATABASE) || name === 'spare' || name === POLICY,
    call,
  );
  const inContent = await bytesIn(store, 'content', () => true, call);
  return inRoot + inContent + (await bytesIn(store, 'run', () => true, call));
}

/** Takes no lock: while others change the store, the parts may not fit together to the last record. */
export async function survey(store: Store, call: { sizes?: boolean } & Call = {}): Promise<Survey> {
  call.signal?.throwIfAborted();
  await lookAtOwners(store, call);
  const files = await listFiles(store, call);
  const ingests = await ingestFiles(store, call);
  const snapshots = await snapshotRows(store, call);
  const sizes = new Map<number, number>();
  if (call.sizes !== false) {
    for (const { id, path, size } of snapshots) sizes.set(id, size ?? (await usageOf(store, path, call)));
  }
  const liveness = {
    now: store.now(),
    isDead: (id: string) => store.owner.isDead(id),
    lastByte: (dir: string) => Math.floor(ingests.get(dir)?.mtime ?? 0),
  };
  const blobs = new Map([...files.blobs.values()].map(({ digest, size }) => [String(digest), size]));
  const found: SurveyedNamespace[] = namespaces(store.db).map((name) => {
    const own = snapshots.filter(({ ns }) => ns === name);
    const broken = own
      .filter(({ id, abandoned }) => abandoned || store.distrusted.has(id))
      .map(({ node }) => node);
    const bytes = bytesOf(store, name, blobs, ingests);
    for (const { id, node } of own) bytes.set(nodeKey(node.type, node.id), sizes.get(id) ?? 0);
    return { name, state: without(loadState(store.db, name, liveness), broken), broken, bytes };
  });
  const strays = await straysOf(store, files, snapshots, call);
  const kept = keptTypes(await lossOf(store.runtime, store.root, call));
  return { now: liveness.now, namespaces: found, strays, kept, records: await recordBytes(store, call) };
}
