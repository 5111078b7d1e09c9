import { needsBelow } from '../../core/archive/guesses.ts';
import { isKind, wrap } from '../../core/errors.ts';
import type { Applied, Applier, ApplyOptions } from '../../core/layers/applier.ts';
import { applyByWorker } from '../../core/layers/apply-by-worker.ts';
import { oursOnly } from '../../core/layers/layer-settings.ts';
import type { Workers } from '../../core/layers/workers.ts';
import type { WriteOut } from '../../core/layers/write-out.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import { parseDigest } from '../../core/oci/digest.ts';
import type { PreparedSnapshot } from '../../core/snapshots/snapshotter.ts';
import type { CallOptions, Connection } from './connection.ts';
import { fromDescriptor } from './descriptors.ts';
import { type DirectAccess, notOurs } from './direct.ts';
import type { Durable } from './durable.ts';
import { type Calls, type Message, need } from './messages.ts';

const BY_CONTAINERD = 'containerd itself unpacks the layers, as root must not write where others can lead it';

/**
 * Our workers apply a layer where containerd's directories prove to be this process's to write to (direct.ts), several times as
 * fast. Else containerd applies the layer (services/diff/v1), as for ctr: right for every snapshotter and for a daemon in
 * another mount namespace or machine, with containerd's decompressors and limits and without progress.
 */
export class ContainerdApplier implements Applier {
  /** containerd applies blobs of its content store. */
  readonly needsBlob = true;
  readonly #connection: Connection;
  readonly #durable: Durable;
  readonly #direct: DirectAccess;
  readonly #workers: Pick<Workers, 'apply' | 'warm'>;
  readonly #writeOut: WriteOut;

  constructor(
    connection: Connection,
    durable: Durable,
    direct: DirectAccess,
    workers: Pick<Workers, 'apply' | 'warm'>,
    writeOut: WriteOut,
  ) {
    this.#connection = connection;
    this.#durable = durable;
    this.#direct = direct;
    this.#workers = workers;
    this.#writeOut = writeOut;
  }

  prepare(): void {
    if (this.#direct.likely) this.#workers.warm();
  }

  async apply(
    layer: Descriptor,
    { trees, mounts = [] }: PreparedSnapshot,
    opts: ApplyOptions = {},
  ): Promise<Applied> {
    this.#durable.wrote(trees);
    const applied =
      trees &&
      (await this.#direct.use(layer, trees, opts.below, opts, ({ source, target, fileSystem, held }) => {
        if (held !== undefined) this.#durable.holds(held);
        return this.#writeOut.during(fileSystem, () =>
          applyByWorker(this.#workers, layer, source, target, opts),
        );
      }));
    if (applied !== undefined) return applied;
    // containerd would write whiteouts only where it sees what they hide.
    if (opts.below === 'unknown') throw needsBelow('containerd itself applies the layer');
    const refused = oursOnly(opts.settings ?? {});
    if (refused !== undefined) throw notOurs(refused);
    const { signal } = opts;
    // containerd 2.0 and later syncs the file system then; earlier versions skip the field.
    const request = { diff: fromDescriptor(layer), mounts, syncFs: true };
    const { digest, size } = await this.#apply(request, { signal, deadline: 0 });
    const refusal = this.#direct.takeRefusal();
    const warnings = refusal === undefined ? [] : [`${BY_CONTAINERD}: ${refusal}`];
    return { digest: parseDigest(digest), size, warnings, record: undefined };
  }

  async #apply(request: Calls['diff.v1.Diff/Apply'][0], call: CallOptions): Promise<Message<'Descriptor'>> {
    try {
      const { applied } = await this.#connection.call('diff.v1.Diff/Apply', request, call);
      return need(applied, 'what it applied');
    } catch (err) {
      call.signal?.throwIfAborted();
      throw isKind(err, 'Unavailable') ? err : wrap('containerd cannot apply it', err);
    }
  }
}
