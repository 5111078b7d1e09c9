import type { LayerRecord } from '../../core/archive/layer-record.ts';
import { cleanupSignal } from '../../core/async/abort.ts';
import { cleanedUp, cleaningUp } from '../../core/async/cleanup.ts';
import type { Labels } from '../../core/content/content-store.ts';
import { checkLabels } from '../../core/content/labels.ts';
import { HawserError, isKind } from '../../core/errors.ts';
import { isExtractKey } from '../../core/layers/extract-key.ts';
import { parseDigest } from '../../core/oci/digest.ts';
import type { Call, WriteCall } from '../../core/ports/call.ts';
import type { Mount } from '../../core/ports/mounter.ts';
import {
  type LayerSnapshotter,
  OVERLAY_MAX_LAYERS,
  type PreparedSnapshot,
  type SnapshotDiff,
  type SnapshotInfo,
  type SnapshotKind,
  type SnapshotLayer,
  type Usage,
} from '../../core/snapshots/snapshotter.ts';
import type { Connection } from './connection.ts';
import { isStaged, toMounts, toPrepared } from './descriptors.ts';
import { type DirectAccess, notOurs } from './direct.ts';
import type { Durable } from './durable.ts';
import { layerLabels } from './layer-labels.ts';
import { addToLease } from './leases.ts';
import { listAll } from './list-all.ts';
import { labelMask, type Message, need, toMs } from './messages.ts';
import type { Rebases } from './rebases.ts';
import type { MarkedSnapshots } from './unsynced.ts';
import type { Ways } from './version.ts';

const KINDS: readonly (SnapshotKind | undefined)[] = [undefined, 'View', 'Active', 'Committed'];
/** The label that names the snapshot which a key shall become. Prepare answers AlreadyExists when that snapshot exists. */
const TARGET_LABEL = 'containerd.io/snapshot.ref';

/** How a containerd may refuse to commit a snapshot over another parent than it was prepared with. */
const REFUSALS = ['InvalidArgument', 'FailedPrecondition', 'NotImplemented'] as const;

type MakeOptions = { labels?: Labels } & WriteCall;

/**
 * A snapshotter of containerd (services/snapshots/v1). containerd makes and keeps the directories. Layers are applied side by side
 * where the snapshotter and we can rebase them (rebases.ts), else in chain order, each over its parent.
 */
export class ContainerdSnapshotter implements MarkedSnapshots, LayerSnapshotter {
  readonly name: string;
  readonly maxLayers: number | undefined;
  readonly #connection: Connection;
  readonly #direct: DirectAccess;
  readonly #durable: Durable;
  readonly #rebases: Rebases;
  readonly #ways: Ways & { readonly remote: boolean };

  constructor(
    connection: Connection,
    name: string,
    { direct, durable, rebases }: { direct: DirectAccess; durable: Durable; rebases: Rebases },
    ways: Ways & { readonly remote: boolean },
  ) {
    this.#connection = connection;
    this.#durable = durable;
    this.#rebases = rebases;
    this.#ways = ways;
    this.#direct = direct;
    this.name = name;
    this.maxLayers = name === 'overlayfs' ? OVERLAY_MAX_LAYERS : undefined;
  }

  #key(key: string) {
    return { snapshotter: this.name, key };
  }

  /** NotFound also for a committed snapshot that may lack files (unsynced.ts). */
  async stat(key: string, call: Call = {}): Promise<SnapshotInfo> {
    const { info } = await this.#connection.call('snapshots.v1.Snapshots/Stat', this.#key(key), call);
    const known = toInfo(need(info, 'the snapshot asked for'));
    if (known.kind !== 'Committed' || (await this.#durable.relies(this, known, call))) return known;
    throw new HawserError('NotFound', `snapshot ${key} may lack files since the machine went down`);
  }

  async label(key: string, labels: Labels, call?: Call): Promise<SnapshotInfo> {
    checkLabels(labels);
    if (Object.keys(labels).length === 0) return await this.stat(key, call);
    const request = { snapshotter: this.name, info: { name: key, labels }, updateMask: labelMask(labels) };
    const { info } = await this.#connection.call('snapshots.v1.Snapshots/Update', request, call);
    return toInfo(need(info, 'the labels set'));
  }

  async list(call: Call = {}): Promise<SnapshotInfo[]> {
    return await this.#list([], call);
  }

  async listLabelled(label: string, call: Call = {}): Promise<SnapshotInfo[]> {
    return await this.#list([`labels.${JSON.stringify(label)}`], call);
  }

  async #list(filters: readonly string[], call: Call): Promise<SnapshotInfo[]> {
    const request = { snapshotter: this.name, filters };
    const messages = this.#connection.stream('snapshots.v1.Snapshots/List', request, call);
    const infos = (await listAll(messages, ({ info }) => info)).map(toInfo);
    return infos.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async committedOf(chain: readonly string[], call: WriteCall): Promise<ReadonlySet<string>> {
    let held: string | undefined;
    for (let asked = chain; ; ) {
      const infos = await this.#committedAmong(asked, call);
      const names = new Set(infos.map(({ name }) => name));
      const highest = asked.findLast((name) => names.has(name));
      if (highest === undefined || highest === held) return await this.#relied(infos, chain, call);
      // What a lease holds keeps all below it, and nothing above it: so those above are not asked for again.
      await this.#hold(highest, call);
      held = highest;
      asked = asked.slice(0, asked.indexOf(highest) + 1);
    }
  }

  async #committedAmong(names: readonly string[], call: Call): Promise<readonly SnapshotInfo[]> {
    // Without a filter all would be listed.
    if (names.length === 0) return [];
    const filters = names.map((name) => `name==${JSON.stringify(name)}`);
    return (await this.#list(filters, call)).filter(({ kind }) => kind === 'Committed');
  }

  /** The names of those whose files can be relied on. */
  async #relied(
    infos: readonly SnapshotInfo[],
    chain: readonly string[],
    call: Call,
  ): Promise<ReadonlySet<string>> {
    const found = new Set<string>();
    for (const info of infos) {
      this.#requireParent(info, chain);
      if (await this.#durable.relies(this, info, call)) found.add(info.name);
    }
    return found;
  }

  /** DataLoss for a layer over another parent than its chain ID says: a daemon that skipped the parent at a commit, say. */
  #requireParent({ name, parent }: SnapshotInfo, chain: readonly string[]): void {
    const expected = chain[chain.indexOf(name) - 1] ?? '';
    if (parent === expected) return;
    const what = `The snapshot ${name} lies over ${parent || 'nothing'}, and not over ${expected || 'nothing'}`;
    throw new HawserError('DataLoss', `${what}: it does not show the image`, {
      hint: `Remove it, and first what is over it: ${this.removalOf(name)}`,
    });
  }

  /** For an active snapshot containerd walks the disk. */
  async usage(key: string, call: Call = {}): Promise<Usage> {
    const unhurried = { ...call, deadline: 0 };
    const { size, inodes } = await this.#connection.call(
      'snapshots.v1.Snapshots/Usage',
      this.#key(key),
      unhurried,
    );
    return { size, inodes };
  }

  async mounts(key: string, call?: Call): Promise<Mount[]> {
    const { mounts } = await this.#connection.call('snapshots.v1.Snapshots/Mounts', this.#key(key), call);
    return toMounts(mounts);
  }

  prepare(key: string, parent: string, opts: MakeOptions = {}): Promise<PreparedSnapshot> {
    return this.#make('Prepare', key, parent, opts);
  }

  view(key: string, parent: string, opts: MakeOptions = {}): Promise<PreparedSnapshot> {
    return this.#make('View', key, parent, opts);
  }

  async #make(
    how: 'Prepare' | 'View',
    key: string,
    parent: string,
    { labels = {}, ...call }: MakeOptions,
  ): Promise<PreparedSnapshot> {
    checkLabels(labels);
    const request = { ...this.#key(key), parent, labels };
    const ask = () => this.#connection.call(`snapshots.v1.Snapshots/${how}`, request, call);
    const target = labels[TARGET_LABEL];
    const answer = await ask().catch(async (err: unknown) => {
      if (!isKind(err, 'AlreadyExists')) throw err;
      if (target !== undefined && (await this.#durable.makesWay(this, target, call))) return await ask();
      await this.#hold(target ?? key, call);
      throw err;
    });
    const prepared = toPrepared(answer.mounts);
    if (how === 'Prepare') {
      if (isExtractKey(key) && isStaged(answer.mounts)) throw await this.#staged(key);
      this.#direct.prepared(this.name, key, prepared);
      this.#rebases.prepared(key, prepared.trees);
    }
    return prepared;
  }

  /** The error for a snapshot that containerd has filled already, which is removed. */
  async #staged(key: string): Promise<HawserError> {
    const what = `containerd's snapshotter "${this.name}" takes the layer from its own cache, and not from the blob that was verified`;
    const err = new HawserError('NotImplemented', what, {
      hint: 'Unpack with ctr, which relies on that cache (layer_content_caches), or with --snapshotter overlayfs',
    });
    return await cleanedUp(err, () => this.remove(key, { signal: cleanupSignal() }));
  }

  async diff(
    lower: string,
    upper: string,
    { mediaType, ...call }: { mediaType: string } & WriteCall,
  ): Promise<SnapshotDiff> {
    const views: string[] = [];
    const shown = async (key: string, side: string): Promise<Mount[]> => {
      if (key !== '' && (await this.stat(key, call)).kind !== 'Committed')
        return await this.mounts(key, call);
      const view = `hawser-diff-${call.lease ?? 'none'}-${side}`;
      const { mounts = [] } = await this.view(view, key, call);
      views.push(view);
      return [...mounts];
    };
    const work = async (): Promise<SnapshotDiff> => {
      const request = { left: await shown(lower, 'left'), right: await shown(upper, 'right'), mediaType };
      const answer = await this.#connection.call('diff.v1.Diff/Diff', request, { ...call, deadline: 0 });
      return { blob: parseDigest(need(answer.diff, 'the layer made').digest) };
    };
    return await cleaningUp(work, async () => {
      for (const view of views) await this.remove(view, { signal: cleanupSignal() });
    });
  }

  async rebases(): Promise<boolean> {
    return this.#rebases.usable;
  }

  rebase(
    key: string,
    parent: string,
    record: LayerRecord,
    call: WriteCall = {},
  ): Promise<string | undefined> {
    return this.#rebases.rebase(key, parent, record, call);
  }

  async commit(name: string, key: string, { labels = {}, ...call }: MakeOptions = {}): Promise<void> {
    checkLabels(labels);
    const parent = this.#rebases.parentOf(key);
    try {
      const mark = await this.#durable.mark(call);
      const request = { ...this.#key(key), name, labels: { ...labels, ...mark }, parent };
      await this.#connection.call('snapshots.v1.Snapshots/Commit', request, { ...call, deadline: 0 });
      this.#durable.committed(this, name);
    } catch (err) {
      // Nobody knows what became of a call that was aborted.
      if (call.signal?.aborted === true) this.#durable.committed(this, name);
      if (isKind(err, 'AlreadyExists')) await this.#hold(name, call);
      throw parent !== '' && isKind(err, ...REFUSALS) ? this.#rebases.refused(err) : err;
    }
    await this.#rebases.committed(name, key, call);
  }

  async check({ oursOnly, signal }: { oursOnly?: string | undefined } & Call = {}): Promise<void> {
    if (oursOnly === undefined || (await this.#direct.isOurs(this, { signal }))) return;
    throw notOurs(oursOnly);
  }

  layerLabels(layer: SnapshotLayer): Labels {
    return layerLabels(layer, this.#ways, this.#ways.remote);
  }

  /** Adds a snapshot that exists to the lease: containerd before 1.6.32 and 1.7.17 does not. */
  async #hold(name: string, { lease, signal }: WriteCall): Promise<void> {
    if (lease === undefined) return;
    await addToLease(this.#connection, lease, { type: `snapshots/${this.name}`, id: name }, { signal });
  }

  removalOf(name: string): string {
    const word = /^[\w:./-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
    return `ctr -n ${this.#connection.namespace} snapshots --snapshotter ${this.name} rm ${word}`;
  }

  /** containerd may remove the files later. */
  async remove(key: string, call: Call = {}): Promise<void> {
    const unhurried = { ...call, deadline: 0 };
    await this.#connection.call('snapshots.v1.Snapshots/Remove', this.#key(key), unhurried);
    this.#rebases.forget(key);
  }
}

function toInfo({ name, kind, parent, labels, createdAt, updatedAt }: Message<'Snapshot'>): SnapshotInfo {
  const known = KINDS[kind];
  if (known === undefined)
    throw new HawserError('Internal', `containerd has an unknown kind of snapshot: ${name}`);
  return { name, kind: known, parent, labels, createdAt: toMs(createdAt), updatedAt: toMs(updatedAt) };
}
