import { cleanedUp } from '../../core/async/cleanup.ts';
import type { Backend, GcResult } from '../../core/backend.ts';
import type { ContentStore, LocalBlobs } from '../../core/content/content-store.ts';
import { errnoOf, HawserError, isKind } from '../../core/errors.ts';
import { WriteOut } from '../../core/layers/write-out.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Runtime } from '../../core/runtime.ts';
import { removeAbandoned } from './abandoned.ts';
import { LocalApplier } from './applier.ts';
import { checkRecords } from './check-records.ts';
import { LocalChecker } from './checker.ts';
import { collect } from './collect.ts';
import { LocalContent } from './content.ts';
import { collectWhenDue } from './due.ts';
import { Durability } from './durability.ts';
import { namespaces } from './gc-state.ts';
import { checkIdentifier } from './identifiers.ts';
import { LocalImages } from './images.ts';
import { LocalLeases } from './leases.ts';
import { keepIndex, lossOf } from './lost.ts';
import { LocalNamespaces } from './namespace-rows.ts';
import { Owner } from './owner.ts';
import { followAndTell, policySays, sizeAsks } from './policy.ts';
import { ensureLayout } from './projection.ts';
import { DATABASE, inspectRoot, isVacant, normalizeRoot, prepareRoot } from './root.ts';
import { openDatabase, openDatabaseToRead } from './schema.ts';
import { Extractions } from './snapshots/extractions.ts';
import { NativeDriver } from './snapshots/native.ts';
import { OverlayDriver } from './snapshots/overlayfs.ts';
import { LocalSnapshotter } from './snapshots/snapshotter.ts';
import { makeSpare, requireRoom } from './spare.ts';
import { closeQuietly, Store } from './store.ts';
import { survey } from './survey.ts';

export interface LocalBackend extends Backend {
  readonly content: ContentStore & LocalBlobs;
  /** An absolute, normalised path. */
  readonly root: string;
  /** The indexes that lost databases had left when the store was opened: absolute paths. While they are there, blobs stay. */
  readonly lostIndexes: readonly string[];
  /** Every namespace that was ever written to, in order. */
  namespaces(call?: Call): Promise<string[]>;
  collect(call?: Call): Promise<GcResult>;
}

export interface LocalOptions extends Call {
  /** An absolute path. */
  readonly root: string;
  readonly namespace: string;
  /**
   * Makes and changes nothing; an absent root is an empty store. `if-need-be`: only where the store cannot be written to, on a
   * read-only or full file system; leases then protect nothing, and every other change fails with that reason.
   */
  readonly readOnly?: boolean | 'if-need-be' | undefined;
  /** Makes no store where there is none: that store is empty and in memory, so that what is to be changed or removed is not found. */
  readonly existing?: boolean | undefined;
  /**
   * `isolated`: a namespace gets a blob only by bringing its bytes, so that a digest alone does not open another namespace's
   * content (containerd's content_sharing_policy). Default `shared`.
   */
  readonly contentSharing?: 'shared' | 'isolated' | undefined;
}

/**
 * Opens one namespace of the store at `root`, and makes the store when it is absent. Disposing releases everything: others
 * can resume the ingests that are still open.
 */
export async function openLocalBackend(runtime: Runtime, opts: LocalOptions): Promise<LocalBackend> {
  checkIdentifier(opts.namespace);
  const root = normalizeRoot(opts.root);
  const store = await openStore(runtime, root, opts);
  const drivers = [new OverlayDriver(runtime, root), new NativeDriver(runtime)];
  const durability = new Durability(store);
  const extractions = new Extractions(store);
  const snapshotters = new Map<string, LocalSnapshotter>(
    drivers.map((driver) => [driver.name, new LocalSnapshotter(store, driver, durability, extractions)]),
  );
  const backend = assemble(
    store,
    { durability, extractions },
    snapshotters,
    opts.contentSharing === 'isolated',
  );
  try {
    if (store.readOnly) for (const id of await durability.lost(opts)) store.distrusted.add(id);
    else {
      await durability.dropLost(opts);
      await removeAbandoned(store, snapshotters, opts);
    }
    return backend;
  } catch (err) {
    throw await cleanedUp(err, () => backend[Symbol.asyncDispose]());
  }
}

async function openStore(runtime: Runtime, root: string, opts: LocalOptions): Promise<Store> {
  if (opts.readOnly === true) return await openToRead(runtime, root, opts);
  if (opts.existing === true && (await isVacant(runtime, root, opts)))
    return await openToRead(runtime, root, opts, { isVacant: true });
  if (opts.readOnly !== 'if-need-be') return await openToWrite(runtime, root, opts);
  try {
    return await openToWrite(runtime, root, opts, (store) =>
      requireRoom(runtime, store.path(`run/${store.owner.id}.room`), opts),
    );
  } catch (err) {
    if (errnoOf(err) !== 'EROFS' && !isKind(err, 'ResourceExhausted')) throw err;
    return await openToRead(runtime, root, opts, { unwritable: err });
  }
}

async function openToRead(
  runtime: Runtime,
  root: string,
  opts: LocalOptions,
  why: { readonly unwritable?: unknown; readonly isVacant?: boolean } = {},
): Promise<Store> {
  // Of a store that another process has made since nothing was there, nothing is seen.
  const isVacant = why.isVacant === true;
  const exists = !isVacant && (await inspectRoot(runtime, root, opts));
  const lostIndexes = isVacant ? [] : (await lossOf(runtime, root, opts)).indexes;
  const db = await openDatabaseToRead(runtime, exists ? `${root}/${DATABASE}` : undefined, opts);
  const owner = Owner.reader(runtime, `${root}/run`);
  const { namespace } = opts;
  return new Store({ ...{ runtime, root, namespace, readOnly: true, lostIndexes, db, owner }, ...why });
}

/** `check` runs last; when it fails, the store is closed again. */
async function openToWrite(
  runtime: Runtime,
  root: string,
  opts: LocalOptions,
  check: (store: Store) => Promise<unknown> = async () => {},
): Promise<Store> {
  await prepareRoot(runtime, root, opts);
  await keepIndex(runtime, root, opts);
  const db = await openDatabase(runtime, `${root}/${DATABASE}`, opts);
  let owner: Owner | undefined;
  try {
    // Beside a database, content/index.json is no index of a lost one.
    const { indexes: lostIndexes } = await lossOf(runtime, root, opts);
    owner = await Owner.create(runtime, `${root}/run`, opts);
    const { namespace } = opts;
    const store = new Store({ runtime, root, namespace, readOnly: false, lostIndexes, db, owner });
    await makeSpare(runtime, root, store.path(`run/${owner.id}.spare`), opts);
    await ensureLayout(store, opts);
    await check(store);
    return store;
  } catch (err) {
    const first = await cleanedUp(err, async () => await owner?.close());
    closeQuietly(db);
    throw first;
  }
}

/** An object without private fields, for callers extend it by Object.create. */
function assemble(
  store: Store,
  { durability, extractions }: { durability: Durability; extractions: Extractions },
  snapshotters: ReadonlyMap<string, LocalSnapshotter>,
  isolated: boolean,
): LocalBackend {
  const content = new LocalContent(store, isolated);
  const { clock, fs } = store.runtime;
  const writeOut = new WriteOut({ clock, fs, workers: { syncfs: () => durability.writeOut() } });
  const snapshotterNames = [...snapshotters.keys()];
  const backend: LocalBackend = {
    namespace: store.namespace,
    root: store.root,
    lostIndexes: store.lostIndexes.map((name) => store.path(name)),
    content,
    images: new LocalImages(store),
    leases: new LocalLeases(store, (ended) => durability.unrely(ended)),
    namespaceStore: new LocalNamespaces(store),
    applier: new LocalApplier(store, content, { durability, extractions, writeOut }),
    checkRecords: (call) => checkRecords(store, call),
    checker: new LocalChecker(store, content, snapshotters),
    snapshotterNames,
    snapshotter: (name = 'overlayfs') => snapshotters.get(name) ?? noSnapshotter(name, snapshotterNames),
    namespaces: async (call) => {
      call?.signal?.throwIfAborted();
      return namespaces(store.db);
    },
    space: (call) => store.runtime.fs.space(store.path('content'), call),
    sync: async (call) => {
      await writeOut.settled();
      await durability.sync(call);
    },
    collect: (call) => collect(store, call),
    collectWhenDue: ({ tell = () => {}, ...call } = {}) =>
      collectWhenDue(store, call, {
        size: () => sizeAsks(backend, store, call),
        tell,
        before: () => followAndTell(backend, tell, call),
      }),
    policy: (call) => policySays(backend, store, call),
    survey: (call) => survey(store, call),
    [Symbol.asyncDispose]: closing(store, { durability, extractions, writeOut }),
  };
  return backend;
}

/** Closes everything, once. Every change is committed by then: what fails here must not hide an error of the caller's. */
function closing(
  store: Store,
  {
    durability,
    extractions,
    writeOut,
  }: { durability: Durability; extractions: Extractions; writeOut: WriteOut },
): () => Promise<void> {
  let isClosed = false;
  return async () => {
    if (isClosed) return;
    isClosed = true;
    await writeOut.settled().catch(() => {});
    await extractions.close();
    await durability.close().catch(() => {});
    await store.owner.close();
    store.close();
  };
}

function noSnapshotter(name: string, known: readonly string[]): never {
  throw new HawserError(
    'InvalidArgument',
    `Cannot use snapshotter "${name}": the local store does not have it`,
    {
      hint: `It has: ${known.join(', ')}`,
    },
  );
}
