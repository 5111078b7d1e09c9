/** The verb `repair`: fetches and unpacks what `verify` finds damaged in an image, and nothing else. */
import { cleanupSignal } from '../async/abort.ts';
import { cleanedUp } from '../async/cleanup.ts';
import { reached } from '../async/milestone.ts';
import { readBlob } from '../content/read.ts';
import { HawserError, ifFound, isKind, messageOf } from '../errors.ts';
import type { Image } from '../images/image-store.ts';
import type { LayerStep } from '../layers/layer-steps.ts';
import { unpackAs } from '../layers/unpacker.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { childrenOf, MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { isDocumentType } from '../oci/media-types.ts';
import { childLabelsFix } from '../verify/labels.ts';
import type {
  Damage,
  DamagedBlob,
  DamagedLabels,
  DamagedSnapshot,
  Unchecked,
  VerifyProgress,
} from '../verify/report.ts';
import { blobSource } from './fetch.ts';
import { type FetchJob, unpackJob, withJob } from './job.ts';
import type { FetchOptions, TransferDeps } from './options.ts';
import { knownLayers, type VerifyOptions, verify } from './verify.ts';

export interface RepairOptions extends FetchOptions {
  /** The record of the image; `reference` is its name. */
  readonly image: Image;
  /** Not given: all of the store's. */
  readonly snapshotter?: string | undefined;
  /** Bytes read from the disk a second. */
  readonly rate?: number | undefined;
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
}

/** What a repair has done for an image. */
export interface RepairReport {
  /** The name of the image. */
  readonly image: string;
  /** What was damaged, and is sound now. */
  readonly repaired: readonly Damage[];
  /** What is damaged still, and why. */
  readonly left: readonly { readonly damage: Damage; readonly why: string }[];
  /** What could not be checked. */
  readonly unchecked: readonly Unchecked[];
}

/** The most rounds of a repair: a damaged document hides those below, so each round repairs what the last one brought to light. */
const MAX_ROUNDS = 10;

/**
 * Brings damaged blobs anew, which take the place of the others once their digest held; then unpacks damaged layers beside those that
 * are there, which give way once the new ones are durable. All under a lease. What is mounted stays as it is, and is told of.
 */
export async function repairImage(deps: TransferDeps, options: RepairOptions): Promise<RepairReport> {
  return await withJob(
    deps,
    options,
    async (job) => await new Repair(deps, { ...job, options }, options).run(),
  );
}

class Repair {
  readonly #deps: TransferDeps;
  readonly #job: FetchJob;
  readonly #options: RepairOptions;
  readonly #repaired = new Map<string, Damage>();
  readonly #left = new Map<string, { damage: Damage; why: string }>();
  readonly #known = new Map<Digest, string | undefined>();

  constructor(deps: TransferDeps, job: FetchJob, options: RepairOptions) {
    this.#deps = deps;
    this.#job = job;
    this.#options = options;
  }

  async run(): Promise<RepairReport> {
    await this.#content();
    const unchecked = this.#deps.backend.checker === undefined ? [] : await this.#snapshots();
    const image = this.#options.image.name;
    return { image, repaired: [...this.#repaired.values()], left: [...this.#left.values()], unchecked };
  }

  #verifyOptions(parts: VerifyOptions['parts']): VerifyOptions {
    const { image, snapshotter, rate, onProgress } = this.#options;
    const { signal } = this.#job;
    return { images: [image], parts, snapshotter, rate, onProgress, known: this.#known, signal };
  }

  async #content(): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const { damage } = await verify(this.#deps, this.#verifyOptions(['content']));
      const fresh = damage.filter((one) => !this.#left.has(keyOf(one)));
      if (fresh.length === 0) return;
      for (const one of fresh) await this.#mend(one);
    }
  }

  async #mend(one: Damage): Promise<void> {
    if (one.type === 'blob' && this.#repaired.has(keyOf(one)))
      this.#leave(one, `it was brought, and is damaged again: ${one.problem}`);
    else if (one.type === 'blob') await this.#attempt(one, () => this.#bring(one));
    else if (one.type === 'labels') await this.#attempt(one, () => this.#label(one));
    else if (one.type === 'records') this.#leave(one, 'hawser recover makes the records again');
    else this.#leave(one, 'it is as it was published; ask the image’s publisher');
  }

  async #bring({ desc, digest }: DamagedBlob): Promise<void> {
    if (desc === undefined) throw new HawserError('NotFound', 'no image says where it is from');
    await blobSource(this.#job).refetch(desc, { signal: this.#job.signal, anew: true });
    this.#known.delete(digest);
    if (isDocumentType(desc.mediaType)) await this.#labelChildren(desc);
  }

  /** A document whose record was gone has lost its labels, too. */
  async #labelChildren(desc: Descriptor): Promise<void> {
    const { content } = this.#deps.backend;
    const { signal } = this.#job;
    const children = childrenOf(await readBlob(content, desc, MAX_MANIFEST_BYTES, { signal }), desc);
    const { labels } = await content.info(desc.digest, { signal });
    const fix = childLabelsFix(desc, children, labels);
    if (fix !== undefined) await content.label(desc.digest, fix, { signal });
  }

  async #label({ digest, want }: DamagedLabels): Promise<void> {
    await this.#deps.backend.content.label(digest, want, this.#job);
  }

  async #snapshots(): Promise<readonly Unchecked[]> {
    const opts = this.#verifyOptions(['snapshots']);
    const { damage, unchecked } = await verify(this.#deps, opts);
    const damaged = damage.filter((one) => one.type === 'snapshot');
    if (damaged.length === 0) return unchecked;
    const layers = await knownLayers(this.#deps, opts);
    const steps = damaged.flatMap((one) => {
      const step = layers.get(one.chainId)?.step;
      return step === undefined ? [] : [{ one, step }];
    });
    // A whole tree (native) is made from the one below.
    for (const { one, step } of steps.sort((a, b) => a.step.index - b.step.index)) {
      await this.#attempt(one, () => this.#unpack(one, step));
    }
    return unchecked;
  }

  async #unpack({ snapshotter: name, chainId }: DamagedSnapshot, step: LayerStep): Promise<void> {
    const { backend } = this.#deps;
    const { signal, lease } = this.#job;
    const snapshotter = backend.snapshotter(name);
    if (snapshotter.replace === undefined)
      throw new HawserError('NotImplemented', 'its files are a daemon’s');
    const beside = `${chainId}+repair` as Digest;
    // Of a repair that was killed.
    await ifFound(snapshotter.remove(beside, { signal }));
    const arrived = { started: reached(), verified: reached() };
    const job = unpackJob(this.#job, { ...this.#options, snapshotter: name }, () => arrived);
    try {
      await unpackAs(job, step, beside);
      await backend.sync({ signal });
      await snapshotter.replace(chainId, beside, { lease, signal });
    } catch (err) {
      throw await cleanedUp(err, () => ifFound(snapshotter.remove(beside, { signal: cleanupSignal() })));
    }
  }

  /** What fails is left, and the rest goes on. */
  async #attempt(damage: Damage, work: () => Promise<void>): Promise<void> {
    const { report, signal } = this.#job;
    try {
      await work();
      this.#repaired.set(keyOf(damage), damage);
    } catch (err) {
      signal.throwIfAborted();
      if (isKind(err, 'Canceled', 'ResourceExhausted')) throw err;
      const why = messageOf(err);
      report({ type: 'warning', message: `Cannot repair ${keyOf(damage)}: ${why}` });
      this.#leave(damage, why);
    }
  }

  #leave(damage: Damage, why: string): void {
    this.#repaired.delete(keyOf(damage));
    this.#left.set(keyOf(damage), { damage, why });
  }
}

function keyOf(damage: Damage): string {
  if (damage.type === 'snapshot') return `the snapshot ${damage.chainId} (${damage.snapshotter})`;
  return damage.type === 'records' ? 'the records' : `the ${damage.type} ${damage.digest}`;
}
