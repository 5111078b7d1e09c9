/** The verb `pull`: fetch, unpack while fetching, make durable, record (ctr images pull). */

import { linkAbort } from '../async/abort.ts';
import { Arrivals } from '../async/arrivals.ts';
import { readBlob } from '../content/read.ts';
import { planUnpack } from '../layers/layer-steps.ts';
import { unpackLayers } from '../layers/unpacker.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { MAX_CONFIG_BYTES, parseConfig } from '../oci/documents.ts';
import type { ProgressEvent } from '../progress/events.ts';
import { UnpackChoice } from './choose.ts';
import { type RecordTarget, record, resolveTarget, type TransferDeps, walk, withLease } from './fetch.ts';
import type { PullOptions, PullResult, UnpackedPlatform } from './options.ts';

/**
 * Pulls and unpacks. An image is recorded only when every wanted platform is unpacked, every diff ID held and the data
 * is durable; on any failure no record is made or moved.
 */
export async function pull(deps: TransferDeps, options: PullOptions): Promise<PullResult> {
  const snapshotter = deps.backend.snapshotter(options.snapshotter);
  return await withLease(deps.backend, options, async (lease, signal) => {
    const target = await resolveTarget(deps, options, { lease, signal });
    const job = new PullJob(deps, options, target, { lease, signal });
    const unpacked = await job.run();
    options.report?.({ type: 'syncing' });
    await deps.backend.sync({ signal });
    const result = await record(deps, options, target, { lease, signal });
    return { ...result, unpacked: unpacked.map((one) => ({ ...one, snapshotter: snapshotter.name })) };
  });
}

type Unpacked = Omit<UnpackedPlatform, 'snapshotter'>;

/** The fetch and the unpacks of one pull, side by side; the first failure of either stops both. */
class PullJob {
  readonly #deps: TransferDeps;
  readonly #options: PullOptions;
  readonly #target: RecordTarget;
  readonly #choice: UnpackChoice;
  readonly #lease: string;
  readonly #parent: AbortSignal;
  readonly #stop = new AbortController();
  readonly #arrivals = new Arrivals();
  /** One unpack after another: platforms may share snapshots. */
  #tail: Promise<void> = Promise.resolve();
  readonly #unpacked: Unpacked[] = [];
  #failure: { reason: unknown } | undefined;

  constructor(
    deps: TransferDeps,
    options: PullOptions,
    target: RecordTarget,
    call: { lease: string; signal: AbortSignal },
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#target = target;
    this.#choice = new UnpackChoice(options, deps.hostPlatform, target.root);
    this.#lease = call.lease;
    this.#parent = call.signal;
  }

  async run(): Promise<Unpacked[]> {
    const unlink = linkAbort(this.#parent, this.#stop);
    try {
      await this.#walk();
      await this.#tail;
    } finally {
      unlink();
    }
    if (this.#failure) throw this.#failure.reason;
    this.#choice.check();
    return this.#unpacked;
  }

  async #walk(): Promise<void> {
    try {
      const options = { ...this.#options, report: (event: ProgressEvent) => this.#report(event) };
      await walk(this.#deps, options, this.#target, {
        lease: this.#lease,
        signal: this.#stop.signal,
        onBlob: (desc) => {
          this.#arrivals.arrived(started(desc));
          this.#arrivals.arrived(desc.digest);
        },
        onManifest: (manifest, children, platform) => this.#queue(manifest, children, platform),
      });
    } catch (err) {
      this.#fail(err);
    }
  }

  #report(event: ProgressEvent): void {
    if (event.type === 'blob' && event.status === 'downloading') {
      this.#deps.backend.applier.prepare?.();
      this.#arrivals.arrived(started(event.desc));
    }
    this.#options.report?.(event);
  }

  #fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#stop.abort(reason);
  }

  #queue(manifest: Descriptor, children: readonly Descriptor[], platform: string | undefined): void {
    const unpack = async () => {
      if (this.#failure) return;
      try {
        await this.#unpack(manifest, children, platform);
      } catch (err) {
        this.#fail(err);
      }
    };
    this.#tail = this.#tail.then(unpack);
  }

  async #unpack(
    manifest: Descriptor,
    children: readonly Descriptor[],
    platform: string | undefined,
  ): Promise<void> {
    const { backend, hashers, clock, cpus } = this.#deps;
    const signal = this.#stop.signal;
    const config = this.#choice.config(manifest, children);
    if (config === undefined) return;
    await this.#arrivals.of(config.digest, signal);
    const parsed = parseConfig(await readBlob(backend.content, config, MAX_CONFIG_BYTES, { signal }), config);
    const name = this.#choice.take(platform, parsed.platform);
    if (name === undefined) return;
    const report = this.#options.report ?? (() => {});
    report({ type: 'unpacking', platform: name, target: this.#target.root.digest });
    const snapshotter = backend.snapshotter(this.#options.snapshotter);
    const steps = planUnpack(manifest, children, parsed.diffIds, hashers);
    const unpackDeps = { content: backend.content, leases: backend.leases, applier: backend.applier };
    const now = () => clock.now();
    const chainId = await unpackLayers({ ...unpackDeps, snapshotter, report, now, cpus }, config, steps, {
      lease: this.#lease,
      signal,
      settings: this.#options.layerSettings,
      blobStarted: (layer) => this.#arrivals.of(started(layer), signal),
      blobHere: (layer) => this.#arrivals.has(layer.digest),
      blobReady: (layer) => this.#arrivals.of(layer.digest, signal),
    });
    this.#unpacked.push({ platform: name, manifest, chainId });
    report({ type: 'unpacked', platform: name, chainId });
  }
}

/** The name under which a blob's first bytes are waited for. */
function started(desc: Descriptor): string {
  return `started ${desc.digest}`;
}
