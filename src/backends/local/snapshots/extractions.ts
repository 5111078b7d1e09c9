/**
 * Which layers this process extracts, for the others that want them: `run/<id>.layers`, rewritten twice a second while there are
 * any. Who extracts what is in the snapshots table; the file only shows that the process goes on, and how far it is.
 */
import { withOpen } from '../../../core/async/cleanup.ts';
import { HawserError } from '../../../core/errors.ts';
import type { Call } from '../../../core/ports/call.ts';
import type { OtherExtraction } from '../../../core/snapshots/snapshotter.ts';
import type { Store } from '../store.ts';
import type { SnapshotRecords } from './records.ts';

/** Milliseconds between two signs of life. */
const BEAT = 500;
/** Bytes: a thousand layers of 100 each fit. */
const MAX_FILE = 1 << 20;

interface Signs {
  readonly beat: number;
  /** Compressed bytes taken, by `<snapshotter> <chain ID>`. */
  readonly layers: Readonly<Record<string, number>>;
}

export class Extractions {
  readonly #store: Store;
  /** By the number of the snapshot. */
  readonly #layers = new Map<number, { readonly name: string; offset: number }>();
  #beat = 0;
  #stop: AbortController | undefined;
  /** Never rejects. */
  #running: Promise<void> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  /** This process extracts the layer `name` (`<snapshotter> <chain ID>`) into the snapshot `id`. */
  begin(id: number, name: string): void {
    this.#layers.set(id, { name, offset: 0 });
    if (this.#stop !== undefined) return;
    this.#stop = new AbortController();
    this.#running = this.#showUntil(this.#stop.signal, this.#running);
  }

  progress(id: number, offset: number): void {
    const layer = this.#layers.get(id);
    if (layer !== undefined) layer.offset = offset;
  }

  /** The snapshot is committed or removed. */
  end(id: number): void {
    if (!this.#layers.delete(id) || this.#layers.size > 0) return;
    this.#stop?.abort();
    this.#stop = undefined;
  }

  async close(): Promise<void> {
    this.#layers.clear();
    this.#stop?.abort();
    this.#stop = undefined;
    await this.#running;
  }

  /** What other live processes show of a layer of these records; undefined when none extracts the layer. One that goes on suffices. */
  async other(records: SnapshotRecords, chainId: string, call?: Call): Promise<OtherExtraction | undefined> {
    const found: OtherExtraction[] = [];
    for (const owner of records.extractors(chainId)) {
      if ((await this.#store.owner.watch(owner, call)) === 'dead') continue;
      found.push(await this.#look(owner, records.layerName(chainId), call));
    }
    if (found.length === 0) return undefined;
    const offset = Math.max(...found.map((one) => one.offset));
    return { beat: found.map(({ beat }) => beat).join(), offset };
  }

  /** Unavailable (reason `busy`) while another live process extracts the layer. */
  async requireAlone(records: SnapshotRecords, chainId: string, call?: Call): Promise<void> {
    if ((await this.other(records, chainId, call)) !== undefined) this.claim(records, chainId);
  }

  /** Within a transaction: Unavailable (reason `busy`) while another process that is not known to be dead extracts the layer. */
  claim(records: SnapshotRecords, chainId: string): void {
    if (records.extractors(chainId).every((owner) => this.#store.owner.isDead(owner))) return;
    throw new HawserError('Unavailable', `Another process extracts the layer ${chainId}`, {
      reason: { type: 'busy' },
    });
  }

  /** Without a readable file: a process that has shown nothing yet. */
  async #look(owner: string, name: string, call?: Call): Promise<OtherExtraction> {
    const signs = await this.#read(this.#path(owner), call);
    const offset = signs?.layers?.[name];
    return { beat: `${owner} ${signs?.beat}`, offset: typeof offset === 'number' ? offset : 0 };
  }

  /** Undefined also for a file that is being written. */
  async #read(path: string, call?: Call): Promise<Partial<Signs> | undefined> {
    try {
      const bytes = await this.#store.runtime.fs.readFile(path, MAX_FILE, call);
      return JSON.parse(new TextDecoder().decode(bytes)) as Partial<Signs>;
    } catch {
      call?.signal?.throwIfAborted();
      return undefined;
    }
  }

  #path(owner: string): string {
    return this.#store.path(`run/${owner}.layers`);
  }

  /** A file that cannot be written (a full disk) costs no more than that others may extract the layers, too. */
  async #showUntil(stop: AbortSignal, before: Promise<void>): Promise<void> {
    const { clock, fs } = this.#store.runtime;
    await before;
    const path = this.#path(this.#store.owner.id);
    while (!stop.aborted) {
      await this.#show(path).catch(() => {});
      await clock.sleep(BEAT, stop).catch(() => {});
    }
    await fs.remove(path, { tree: true }).catch(() => {});
  }

  async #show(path: string): Promise<void> {
    const layers = Object.fromEntries([...this.#layers.values()].map(({ name, offset }) => [name, offset]));
    const signs: Signs = { beat: ++this.#beat, layers };
    const bytes = new TextEncoder().encode(JSON.stringify(signs));
    await withOpen(this.#store.runtime.fs.open(path, 'write', 0o600), async (file) => {
      await file.write(bytes, 0);
      await file.truncate(bytes.length);
    });
  }
}
