import type { LayerRecord } from '../../../core/archive/layer-record.ts';
import { cleanedUp } from '../../../core/async/cleanup.ts';
import type { Labels } from '../../../core/content/content-store.ts';
import { HawserError, isKind, wrap } from '../../../core/errors.ts';
import { chainOfKey, isExtractKey } from '../../../core/layers/extract-key.ts';
import type { Call, WriteCall } from '../../../core/ports/call.ts';
import type { Mount } from '../../../core/ports/mounter.ts';
import { diffStream } from '../../../core/snapshots/diff.ts';
import type {
  LayerSnapshotter,
  OtherExtraction,
  PreparedSnapshot,
  SnapshotDiff,
  SnapshotInfo,
  Usage,
} from '../../../core/snapshots/snapshotter.ts';
import type { Durability } from '../durability.ts';
import { labelRows } from '../labels.ts';
import { addToLease, dropFromLease, requireLease } from '../leases.ts';
import type { Store } from '../store.ts';
import type { SnapshotDirs, SnapshotDriver } from './driver.ts';
import type { Extractions } from './extractions.ts';
import { SnapshotIds } from './ids.ts';
import { notFound, type SnapshotRecord, SnapshotRecords } from './records.ts';
import { SnapshotRemoval } from './removal.ts';
import { requireSameIds } from './same-ids.ts';

type MakeOptions = { labels?: Labels; beside?: boolean } & WriteCall;

const AGAIN = { View: 'view', Active: 'prepare' } as const;

/** A snapshotter of one namespace: records in SQLite, directories below `snapshots/<name>/<id>`. */
export class LocalSnapshotter implements LayerSnapshotter {
  readonly name: string;
  readonly #store: Store;
  readonly #driver: SnapshotDriver;
  readonly #records: SnapshotRecords;
  readonly #ids: SnapshotIds;
  readonly #removal: SnapshotRemoval;
  readonly #durability: Durability;
  readonly #extractions: Extractions;
  /** Whether this process could once make snapshots. */
  #checked = false;

  constructor(store: Store, driver: SnapshotDriver, durability: Durability, extractions: Extractions) {
    this.name = driver.name;
    this.#store = store;
    this.#driver = driver;
    this.#durability = durability;
    this.#extractions = extractions;
    this.#records = new SnapshotRecords(store, driver.name);
    this.#ids = new SnapshotIds(store, driver.name, this.#records);
    this.#removal = new SnapshotRemoval(store, this.#ids, this.#records, { durability, extractions });
  }

  #dirs(kind: 'View' | 'Active', id: number, parents: readonly number[]): SnapshotDirs {
    return { kind, dir: this.#ids.dir(id), parents: parents.map((parent) => this.#ids.dir(parent)) };
  }

  get stacking(): 'overlay' | 'flat' {
    return this.#driver.stacking;
  }

  /** The directory of a snapshot's own layer, be it there or not. Undefined without a record. */
  layerTree(name: string): string | undefined {
    const record = this.#records.find(name);
    return record && this.#driver.tree(this.#ids.dir(record.id));
  }

  get maxLayers(): number | undefined {
    return this.#driver.maxLayers;
  }

  async check(call?: Call): Promise<void> {
    await this.#driver.check(call);
    this.#checked = true;
    await this.#checkIds(call);
  }

  async #checkIds(call?: Call): Promise<void> {
    await requireSameIds(this.#store, call);
  }

  /** NotFound also for a committed snapshot whose directory is lost: a commit of the same name replaces it. */
  async stat(key: string, call?: Call): Promise<SnapshotInfo> {
    call?.signal?.throwIfAborted();
    const record = this.#records.get(key);
    if (record.kind === 'Committed') {
      if (!(await this.#hasTree(record, call))) throw notFound(key);
      if (!record.durable) this.#durability.rely(record.id, this.#records.labelType, key);
    }
    return this.#records.info(record);
  }

  async #hasTree({ id }: SnapshotRecord, call?: Call): Promise<boolean> {
    return (await this.#store.runtime.fs.stat(this.#driver.tree(this.#ids.dir(id)), call)) !== undefined;
  }

  async label(key: string, labels: Labels, call?: Call): Promise<SnapshotInfo> {
    call?.signal?.throwIfAborted();
    await this.#store.write(() => this.#records.label(key, labels), call);
    return this.#records.info(this.#records.get(key));
  }

  async list(call?: Call): Promise<SnapshotInfo[]> {
    call?.signal?.throwIfAborted();
    const labels = labelRows.all(this.#store.db, this.#store.namespace, this.#records.labelType);
    return this.#records.list().map((record) => this.#records.info(record, labels.get(record.name) ?? {}));
  }

  /** The usage of the snapshot's own layer. A committed snapshot's is worked out once. */
  async usage(key: string, call?: Call): Promise<Usage> {
    call?.signal?.throwIfAborted();
    const record = this.#records.get(key);
    if (record.usage !== undefined) return record.usage;
    const { fs, workers } = this.#store.runtime;
    const tree = this.#driver.tree(this.#ids.dir(record.id));
    if ((await fs.stat(tree, call)) === undefined) return { size: 0, inodes: 0 };
    const usage = await workers.usage(tree, call);
    if (record.kind === 'Committed' && !this.#store.readOnly) {
      await this.#store.write(() => this.#records.storeUsage(record.id, usage), call);
    }
    return usage;
  }

  async mounts(key: string, call?: Call): Promise<Mount[]> {
    call?.signal?.throwIfAborted();
    const record = this.#records.get(key);
    if (record.kind === 'Committed') {
      throw new HawserError('FailedPrecondition', `requested snapshot ${key} not active or view`);
    }
    return await this.#driver.mounts(this.#dirs(record.kind, record.id, this.#records.parents(record)), call);
  }

  /** What a user writes over layers goes with them, and cannot be made anew: so they are durable before. */
  async prepare(key: string, parent: string, opts: MakeOptions = {}): Promise<PreparedSnapshot> {
    opts.signal?.throwIfAborted();
    if (!isExtractKey(key)) await this.#durability.settle(this.#chainOf(parent), opts);
    return await this.#make('Active', key, parent, opts);
  }

  view(key: string, parent: string, opts: MakeOptions = {}): Promise<PreparedSnapshot> {
    return this.#make('View', key, parent, opts);
  }

  /**
   * Makes the directory under an id in `staging`, then the record. When the process dies between, the directory is an
   * orphan that a collection removes.
   */
  async #make(
    kind: 'View' | 'Active',
    key: string,
    parent: string,
    opts: MakeOptions,
  ): Promise<PreparedSnapshot> {
    opts.signal?.throwIfAborted();
    const isLayer = isExtractKey(key);
    // A pull asks at its beginning what this process may do; each of its layers need not.
    await (isLayer && this.#checked ? this.#checkIds(opts) : this.check(opts));
    const unsynced = isLayer ? await this.#durability.begin(opts) : null;
    const chainId = isLayer ? chainOfKey(key) : undefined;
    const alone = opts.beside === true ? undefined : chainId;
    const lost = alone === undefined ? undefined : await this.#lost(alone, opts);
    if (alone !== undefined) {
      this.#requireUncommitted(alone, lost);
      await this.#extractions.requireAlone(this.#records, alone, opts);
    }
    const { id, parents } = await this.#ids.reserve(key, parent, opts);
    const dirs = this.#dirs(kind, id, parents);
    try {
      const base = this.#store.path(`snapshots/${this.name}`);
      await this.#store.runtime.fs.mkdir(base, 0o700, { parents: true, signal: opts.signal });
      await this.#driver.create(dirs, opts);
      await this.#store.write(() => {
        if (alone !== undefined) {
          this.#requireUncommitted(alone, lost);
          this.#extractions.claim(this.#records, alone);
        }
        // The files were made from those of another parent.
        if (this.#hasMoved(parent, parents)) throw new HawserError('Unavailable', `"${parent}" was replaced`);
        this.#ids.unstage(id);
        this.#records.insert(id, key, { kind, parent, unsynced, labels: opts.labels ?? {} });
        addToLease(this.#store, opts.lease, this.#records.labelType, key);
      }, opts);
    } catch (err) {
      const first = await cleanedUp(err, () => this.#ids.discard(id));
      if (this.#hasMoved(parent, parents)) return await this[AGAIN[kind]](key, parent, opts);
      throw isKind(first, 'AlreadyExists') ? first : wrap(`Cannot make snapshot "${key}"`, first);
    }
    if (unsynced !== null) this.#durability.marked(id, unsynced);
    if (chainId !== undefined) this.#extractions.begin(id, this.#records.layerName(chainId));
    return { trees: this.#driver.trees(dirs), id };
  }

  /** Whether a snapshot has others below than when its id was reserved. */
  #hasMoved(parent: string, parents: readonly number[]): boolean {
    return this.#chainOf(parent).join() !== parents.join();
  }

  /** The ids of a snapshot and of those below. */
  #chainOf(name: string): readonly number[] {
    const found = name === '' ? undefined : this.#records.find(name);
    return found === undefined ? [] : this.#records.chain(found.id);
  }

  /** The committed snapshot of this name, when its directory is lost. */
  async #lost(name: string, call: Call): Promise<SnapshotRecord | undefined> {
    const known = this.#records.find(name);
    return known?.kind === 'Committed' && !(await this.#hasTree(known, call)) ? known : undefined;
  }

  /** AlreadyExists, as of a containerd's snapshotter that has the layer: nothing is to be applied. */
  #requireUncommitted(name: string, lost: SnapshotRecord | undefined): void {
    const present = this.#records.find(name);
    if (present?.kind === 'Committed' && present.id !== lost?.id) throw alreadyCommitted(name);
  }

  extraction(chainId: string, call?: Call): Promise<OtherExtraction | undefined> {
    return this.#extractions.other(this.#records, chainId, call);
  }

  async diff(
    lower: string,
    upper: string,
    { mediaType, signal }: { mediaType: string } & WriteCall,
  ): Promise<SnapshotDiff> {
    signal?.throwIfAborted();
    const [below, above] = [lower, upper].map((key) => this.#shown(key));
    const sys = await this.#store.runtime.syscalls();
    return { stream: diffStream(sys, below ?? [], above ?? [], mediaType, { signal }) };
  }

  /** The directories that show a snapshot, nearest first; of '' none. */
  #shown(key: string): readonly string[] {
    if (key === '') return [];
    const record = this.#records.get(key);
    const kind = record.kind === 'View' ? 'View' : 'Active';
    const { upper, lowers } = this.#driver.trees(this.#dirs(kind, record.id, this.#records.parents(record)));
    return upper === undefined ? lowers : [upper, ...lowers];
  }

  rebases(call?: Call): Promise<boolean> {
    return this.#driver.rebases(call);
  }

  /** Records the parent first, so that nobody removes the parent while its files are read. */
  async rebase(key: string, parent: string, layer: LayerRecord, call?: Call): Promise<string | undefined> {
    call?.signal?.throwIfAborted();
    const { record, parents } = await this.#store.write(() => this.#records.rebase(key, parent), call);
    const trees = parents.map((id) => this.#driver.tree(this.#ids.dir(id)));
    const mode = this.#driver.stacking;
    const job = {
      root: this.#driver.tree(this.#ids.dir(record.id)),
      lowers: mode === 'overlay' ? trees : trees.slice(0, 1),
      mode,
      record: layer,
      store: this.#store.owner.id,
    };
    return (await this.#store.runtime.workers.rebase(job, call)) ?? undefined;
  }

  async commit(name: string, key: string, opts: MakeOptions = {}): Promise<void> {
    opts.signal?.throwIfAborted();
    const type = this.#records.labelType;
    const lost = await this.#lost(name, opts);
    const written = isExtractKey(key) ? undefined : this.#records.find(key);
    const isUsers = written?.kind === 'Active' && written.durable;
    // What a user wrote is on the disk before it counts as committed, and is never marked: marks are for what can be made anew.
    if (isUsers) await this.#durability.writeOut();
    const done = await this.#store[isUsers ? 'writeDurably' : 'write'](() => {
      requireLease(this.#store, opts.lease);
      addToLease(this.#store, opts.lease, type, name);
      const present = this.#records.find(name);
      if (present !== undefined && present.id !== lost?.id) {
        // Whoever is told that the snapshot exists goes on with it.
        if (present.kind === 'Committed' && !present.durable) this.#durability.rely(present.id, type, name);
        return undefined;
      }
      if (present !== undefined) this.#records.giveWay(present, key);
      const committed = this.#records.commit(name, key, opts.labels ?? {});
      if (!committed.durable) this.#durability.rely(committed.id, type, name);
      dropFromLease(this.#store, opts.lease, type, key);
      return committed.id;
    }, opts);
    if (done !== undefined) this.#extractions.end(done);
    else throw alreadyCommitted(name);
  }

  replace(name: string, by: string, call?: WriteCall): Promise<void> {
    return this.#removal.replace(name, by, call);
  }

  remove(key: string, call?: Call): Promise<void> {
    return this.#removal.remove(key, call);
  }
}

function alreadyCommitted(name: string): HawserError {
  return new HawserError('AlreadyExists', `target snapshot "${name}": already exists`);
}
