import { needsBelow } from '../../core/archive/guesses.ts';
import type { LayerRecord } from '../../core/archive/layer-record.ts';
import { cleanupSignal } from '../../core/async/abort.ts';
import { BoundedMap } from '../../core/bounded-map.ts';
import { toHex } from '../../core/bytes.ts';
import { ifFound, messageOf, wrap } from '../../core/errors.ts';
import { isExtractKey } from '../../core/layers/extract-key.ts';
import type { Workers } from '../../core/layers/workers.ts';
import type { Call, WriteCall } from '../../core/ports/call.ts';
import type { HostSystem } from '../../core/ports/host.ts';
import type { SnapshotTrees } from '../../core/snapshots/snapshotter.ts';
import type { Connection } from './connection.ts';
import { isPlain, toMounts, toPrepared } from './descriptors.ts';
import type { DirectAccess } from './direct.ts';
import { need } from './messages.ts';

/** Leases whose layers are remembered: a pull has one. */
const MAX_LEASES = 8;
/** Active snapshots that are known at once; layers of more are applied in order. */
const MAX_ACTIVE = 2000;

const BY_CONTAINERD = 'containerd itself applies the layer';

/** The directory of a committed layer, and the layers below it. */
interface Layer {
  readonly tree: string;
  readonly below: Layer | undefined;
}

/**
 * Layers side by side in a containerd whose snapshotter has the capability `rebase` (2.2): they are prepared without their parent, and
 * Commit names it (core/metadata/snapshot.go there). containerd changes nothing of the files then: our own rebase has put the layer
 * over those below before.
 *
 * Three things are looked at, once each, before a result is relied on: the workers reach the directories (direct.ts), the mounts over
 * a parent are plain, and the first snapshot that is committed so has the parent that was named. A containerd before 2.2 skips that
 * field, and would commit a base. When one fails, this and all later layers are applied in order.
 */
export class Rebases {
  readonly #snapshotter: string;
  readonly #connection: Connection;
  readonly #direct: Pick<DirectAccess, 'hopesFor' | 'over'>;
  readonly #workers: Pick<Workers, 'rebase'>;
  readonly #host: Pick<HostSystem, 'random'>;
  /** Names this store to the workers. */
  readonly #store: string;
  #usable: boolean;
  #isPlain = false;
  #isHeeded = false;
  /** Directories of active snapshots that layers are applied to, by key. */
  readonly #active = new Map<string, SnapshotTrees>();
  /** The parent to name at the commit of a key. */
  readonly #parents = new Map<string, { readonly name: string; readonly layer: Layer | undefined }>();
  /** By lease, and by name: committed layers that the lease holds, so that they stay where they are. */
  readonly #held = new BoundedMap<string, Map<string, Layer>>(MAX_LEASES);

  /** `capable`: the snapshotter has the capability. */
  constructor(
    { name, capable }: { readonly name: string; readonly capable: boolean },
    connection: Connection,
    direct: Pick<DirectAccess, 'hopesFor' | 'over'>,
    {
      workers,
      host,
    }: { readonly workers: Pick<Workers, 'rebase'>; readonly host: Pick<HostSystem, 'random'> },
  ) {
    this.#snapshotter = name;
    this.#connection = connection;
    this.#direct = direct;
    this.#workers = workers;
    this.#host = host;
    this.#store = `containerd-${toHex(host.random(8))}`;
    this.#usable = capable;
  }

  /** Whether layers are worth preparing without their parents. */
  get usable(): boolean {
    return this.#usable && this.#direct.hopesFor(this.#snapshotter);
  }

  /** Takes note of a new active snapshot. */
  prepared(key: string, trees: SnapshotTrees | undefined): void {
    if (!this.#usable || trees === undefined || !isExtractKey(key)) return;
    // One that was rebased must not be forgotten: it would be committed as a base.
    if (this.#active.size < MAX_ACTIVE) this.#active.set(key, trees);
  }

  /** The active snapshot is gone. */
  forget(key: string): void {
    this.#active.delete(key);
    this.#parents.delete(key);
  }

  /** Puts a layer over the committed `parent`. Returns the reason when it must be applied in order instead. */
  async rebase(
    key: string,
    parent: string,
    record: LayerRecord,
    call: WriteCall,
  ): Promise<string | undefined> {
    const upper = this.#active.get(key)?.upper;
    const layer = await this.#layer(parent, call);
    if (!this.usable || upper === undefined || layer === undefined) return BY_CONTAINERD;
    const reason = await this.#direct.over({ upper, lowers: treesFrom(layer) }, (root, lowers) =>
      this.#workers.rebase({ root, lowers, mode: 'overlay', record, store: this.#store }, call),
    );
    if (reason === undefined) return BY_CONTAINERD;
    if (reason === null) this.#parents.set(key, { name: parent, layer });
    return reason ?? undefined;
  }

  /** The parent to name at the commit of this key; '' for the one that it was prepared over. */
  parentOf(key: string): string {
    return this.#parents.get(key)?.name ?? '';
  }

  /** A commit that named a parent was refused: the error that has the layer applied in order, and all later ones. */
  refused(why: unknown): unknown {
    this.#usable = false;
    return needsBelow(`containerd does not commit it over its parent: ${messageOf(why)}`);
  }

  /** Takes note of a committed snapshot. Throws the error that has the layer applied in order when the parent was not heeded. */
  async committed(name: string, key: string, { lease, signal }: WriteCall): Promise<void> {
    const trees = this.#active.get(key);
    const parent = this.#parents.get(key);
    this.forget(key);
    if (parent !== undefined && !this.#isHeeded) await this.#requireParent(name, parent.name, { signal });
    if (trees?.upper === undefined || lease === undefined) return;
    const below = parent === undefined ? layersOf(trees.lowers) : parent.layer;
    this.#layersOf(lease).set(name, { tree: trees.upper, below });
  }

  async #requireParent(name: string, parent: string, call: Call): Promise<void> {
    const request = { snapshotter: this.#snapshotter, key: name };
    const { info } = await this.#connection.call('snapshots.v1.Snapshots/Stat', request, call);
    this.#isHeeded = need(info, 'the snapshot asked for').parent === parent;
    if (this.#isHeeded) return;
    try {
      await this.#connection.call('snapshots.v1.Snapshots/Remove', request, { signal: cleanupSignal() });
    } catch (err) {
      throw wrap(`containerd has committed ${name} without its parent, and it cannot be removed`, err);
    }
    throw this.refused('it has no parent');
  }

  #layersOf(lease: string): Map<string, Layer> {
    const known = this.#held.get(lease) ?? new Map<string, Layer>();
    this.#held.set(lease, known);
    return known;
  }

  /** The directories of a committed snapshot's layers; undefined where mounts are no plain directories. */
  async #layer(name: string, call: WriteCall): Promise<Layer | undefined> {
    const known = call.lease === undefined ? undefined : this.#layersOf(call.lease).get(name);
    if (known !== undefined && this.#isPlain) return known;
    const lowers = await this.#see(name, call);
    this.#isPlain = lowers !== undefined;
    this.#usable &&= this.#isPlain;
    const layer = layersOf(lowers ?? []);
    if (call.lease !== undefined && layer !== undefined) this.#layersOf(call.lease).set(name, layer);
    return layer;
  }

  /** Directories of a committed snapshot and those below, as a snapshot over it shows them: a view of one layer has no options. */
  async #see(parent: string, { lease, signal }: WriteCall): Promise<readonly string[] | undefined> {
    const key = `hawser-probe-${toHex(this.#host.random(8))}`;
    const named = { snapshotter: this.#snapshotter, key };
    const request = { ...named, parent, labels: {} };
    const call = { lease, signal };
    const { mounts } = await this.#connection.call('snapshots.v1.Snapshots/Prepare', request, call);
    const cleanup = { signal: cleanupSignal() };
    await ifFound(this.#connection.call('snapshots.v1.Snapshots/Remove', named, cleanup));
    return isPlain(toMounts(mounts)) ? toPrepared(mounts).trees?.lowers : undefined;
  }
}

/** Nearest first. */
function layersOf(trees: readonly string[]): Layer | undefined {
  return trees.reduceRight<Layer | undefined>((below, tree) => ({ tree, below }), undefined);
}

function treesFrom(layer: Layer): string[] {
  const trees: string[] = [];
  for (let at: Layer | undefined = layer; at !== undefined; at = at.below) trees.push(at.tree);
  return trees;
}
