/** The ingests table: who writes which ref. The sidecar files beside the data are for people and other tools. */
import { cleanedUp } from '../../core/async/cleanup.ts';
import type { IngestStatus } from '../../core/content/content-store.ts';
import { HawserError } from '../../core/errors.ts';
import { type Digest, digestBytes, hexOf, parseDigest } from '../../core/oci/digest.ts';
import type { Call, WriteCall } from '../../core/ports/call.ts';
import type { Row } from '../../core/ports/database.ts';
import { blobFile } from './blob-files.ts';
import { addToLease } from './leases.ts';
import { number, optionalText, text } from './rows.ts';
import type { Store } from './store.ts';

export interface IngestRecord {
  readonly ref: string;
  /** Relative to the root: `content/ingest/<sha256 of "<namespace>/<ref>">`. */
  readonly dir: string;
  readonly expected: Digest | undefined;
  /** 0 when not known. */
  readonly total: number;
  readonly owner: string | undefined;
  readonly startedAt: number;
  readonly updatedAt: number;
}

export interface Expected {
  readonly digest?: Digest | undefined;
  readonly size?: number | undefined;
}

function toRecord(row: Row): IngestRecord {
  const expected = optionalText(row, 'expected');
  return {
    ref: text(row, 'ref'),
    dir: text(row, 'dir'),
    expected: expected === undefined ? undefined : parseDigest(expected),
    total: number(row, 'total'),
    owner: optionalText(row, 'owner'),
    startedAt: number(row, 'started_at'),
    updatedAt: number(row, 'updated_at'),
  };
}

export function ingestDir(store: Store, ref: string): string {
  const name = new TextEncoder().encode(`${store.namespace}/${ref}`);
  return `content/ingest/${hexOf(digestBytes(name, store.runtime.hashers))}`;
}

export function findIngest(store: Store, ref: string): IngestRecord | undefined {
  const row = store.db.prepare('SELECT * FROM ingests WHERE ns = ? AND ref = ?').get(store.namespace, ref);
  return row === undefined ? undefined : toRecord(row);
}

export function allIngests(store: Store): IngestRecord[] {
  return store.db
    .prepare('SELECT * FROM ingests WHERE ns = ? ORDER BY ref')
    .all(store.namespace)
    .map(toRecord);
}

export interface TakeCall extends WriteCall {
  /** Whether content of other namespaces is shared: one writer for each digest then suffices over all of them. */
  readonly shared?: boolean | undefined;
  /** Fails with Unavailable when a lease lists the ref. */
  readonly unleased?: boolean | undefined;
}

export interface Taken {
  /** The record before it was taken; undefined when it is new. */
  readonly before: IngestRecord | undefined;
  readonly now: IngestRecord;
}

/**
 * Makes this store the only writer of `ref`. Unavailable (reason `busy`) while another live writer has it. With `want` the
 * record is made when absent and notes what is expected now; without, it must exist (NotFound). With `shared`, a writer of the same
 * content in another namespace is in the way, too. From then on no sweep
 * removes its files, nor the file of the blob that it expects.
 */
export async function takeIngest(
  store: Store,
  ref: string,
  want: Expected | undefined,
  call: TakeCall,
): Promise<Taken> {
  if (store.taken.has(ref)) throw busy(store, ref);
  store.taken.add(ref);
  try {
    const taken = await waitForTurn(store, ref, want, call);
    const { dir, expected } = taken.now;
    await store.undoomed(expected === undefined ? [dir] : [dir, blobFile(expected)], call);
    return taken;
  } catch (err) {
    throw await cleanedUp(err, () => releaseIngest(store, ref));
  }
}

/** Takes the row of the ref, also from an owner that is dead. */
async function waitForTurn(
  store: Store,
  ref: string,
  want: Expected | undefined,
  call: TakeCall,
): Promise<Taken> {
  for (;;) {
    call.signal?.throwIfAborted();
    // A follower asks again and again, and must not keep the writer from the database.
    const holder =
      holderOf(store, ref, want, call) ?? (await store.write(() => tryTake(store, ref, want, call), call));
    if (typeof holder !== 'string') return holder;
    if ((await store.owner.look(holder, call)) === 'alive') throw busy(store, ref);
  }
}

function busy(store: Store, ref: string): HawserError {
  const since = findIngest(store, ref)?.startedAt;
  const when = since === undefined ? '' : ` (since ${new Date(since).toISOString()})`;
  return new HawserError('Unavailable', `ref ${ref} locked${when}: another writer has it`, {
    reason: { type: 'busy' },
  });
}

/** The id of an owner that is in the way and not known to be dead. */
function holderOf(
  store: Store,
  ref: string,
  want: Expected | undefined,
  { shared }: TakeCall,
): string | undefined {
  const owner = findIngest(store, ref)?.owner;
  if (owner !== undefined && isHeld(store, owner)) return owner;
  return shared === true ? findElsewhere(store, ref, want?.digest)?.owner : undefined;
}

/** Within a transaction. Returns the id of an owner that is in the way and not known to be dead. */
function tryTake(store: Store, ref: string, want: Expected | undefined, call: TakeCall): Taken | string {
  const { lease, unleased = false } = call;
  const holder = holderOf(store, ref, want, call);
  if (holder !== undefined) return holder;
  const before = findIngest(store, ref);
  if (before === undefined && want === undefined) throw noReference(ref);
  if (unleased) requireUnleased(store, ref);
  addToLease(store, lease, 'ingests', ref);
  const at = store.now();
  const now: IngestRecord = {
    ref,
    dir: before?.dir ?? ingestDir(store, ref),
    expected: want?.digest ?? before?.expected,
    total: want?.size ?? before?.total ?? 0,
    owner: store.owner.id,
    startedAt: before?.startedAt ?? at,
    updatedAt: before?.updatedAt ?? at,
  };
  const put = store.db.prepare(
    'INSERT OR REPLACE INTO ingests (ns, ref, dir, expected, total, owner, started_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const { dir, expected, total, startedAt, updatedAt } = now;
  put.run(store.namespace, ref, dir, expected ?? null, total, store.owner.id, startedAt, updatedAt);
  return { before, now };
}

function requireUnleased(store: Store, ref: string): void {
  const find = store.db.prepare(
    "SELECT lease FROM lease_resources WHERE ns = ? AND type = 'ingests' AND id = ?",
  );
  const row = find.get(store.namespace, ref);
  if (row === undefined) return;
  throw new HawserError('Unavailable', `ref ${ref} is held by the lease ${text(row, 'lease')}`);
}

/** The ingest of another namespace that brings the same content, unless its writer is known to be dead. */
function findElsewhere(store: Store, ref: string, digest: Digest | undefined): IngestRecord | undefined {
  const find = store.db.prepare(
    'SELECT * FROM ingests WHERE ref = ? AND expected = ? AND ns <> ? AND owner IS NOT NULL ORDER BY ns',
  );
  const records = find.all(ref, digest ?? null, store.namespace).map(toRecord);
  return records.find(({ owner }) => owner !== undefined && !store.owner.isDead(owner));
}

/** The ingest that is in the way of one with this ref; with a digest, also one of another namespace that brings that content. */
export function findInTheWay(store: Store, ref: string, digest?: Digest): IngestRecord | undefined {
  const own = findIngest(store, ref);
  return own?.owner === undefined ? (findElsewhere(store, ref, digest) ?? own) : own;
}

/** A row of this store's own was left by a failed release: whoever holds the ref here is in `store.taken`. */
function isHeld(store: Store, owner: string): boolean {
  return owner !== store.owner.id && !store.owner.isDead(owner);
}

export function noReference(ref: string): HawserError {
  return new HawserError('NotFound', `reference "${ref}": not found`);
}

/** Lets go of a ref, as far as that can be done; never rejects. Its data stays for the next writer. */
export async function releaseIngest(store: Store, ref: string): Promise<void> {
  await store.tidy(() => freeIngest(store, ref));
  store.taken.delete(ref);
}

/** Within a transaction. */
export function freeIngest(store: Store, ref: string): void {
  const release = 'UPDATE ingests SET owner = NULL, updated_at = ? WHERE ns = ? AND ref = ? AND owner = ?';
  store.db.prepare(release).run(store.now(), store.namespace, ref, store.owner.id);
}

/** Removes the files, then the record, so that no one can take the ref while its files go. The ref must be ours. */
export async function dropIngest(store: Store, record: IngestRecord, call?: Call): Promise<void> {
  await removeFiles(store, record);
  await store.write(() => forgetIngest(store, record.ref), call);
  store.taken.delete(record.ref);
}

export async function removeFiles(store: Store, { dir }: IngestRecord): Promise<void> {
  await store.runtime.fs.remove(store.path(dir), { tree: true });
}

/** Within a transaction, once the ingest's files are gone. */
export function forgetIngest(store: Store, ref: string): void {
  const drop = store.db.prepare('DELETE FROM ingests WHERE ns = ? AND ref = ? AND owner = ?');
  drop.run(store.namespace, ref, store.owner.id);
  const unlease = "DELETE FROM lease_resources WHERE ns = ? AND type = 'ingests' AND id = ?";
  store.db.prepare(unlease).run(store.namespace, ref);
}

/** The offset comes from the data file, so that it is right for another process's ingest too. */
export async function ingestStatus(store: Store, record: IngestRecord, call?: Call): Promise<IngestStatus> {
  const data = await store.runtime.fs.stat(`${store.path(record.dir)}/data`, call);
  return {
    ref: record.ref,
    offset: store.writing.get(record.ref)?.offset ?? data?.size ?? 0,
    total: record.total,
    expected: record.expected,
    startedAt: record.startedAt,
    updatedAt: Math.max(record.updatedAt, Math.floor(data?.mtime ?? 0)),
  };
}
