import { HawserError, isKind, wrap } from '../../core/errors.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import { parseDigest } from '../../core/oci/digest.ts';
import type { Mount } from '../../core/ports/mounter.ts';
import type { Applied, Applier, ApplyOptions } from '../../core/unpack/roles.ts';
import type { CallOptions, Connection } from './connection.ts';
import { fromDescriptor } from './descriptors.ts';
import type { Durable } from './durable.ts';
import { type Calls, type DescriptorMessage, need } from './messages.ts';

/**
 * Has containerd apply the layer (services/diff/v1), as ctr does: it is right for every snapshotter and for a daemon whose
 * directories are not ours to write to (another mount namespace, a virtual machine, not root here), which writing into
 * the mounts by ourselves would not be. The price: decompressors and limits are containerd's, and it reports no progress.
 */
export class ContainerdApplier implements Applier {
  /** It applies what is in its content store. */
  readonly needsBlob = true;
  readonly #connection: Connection;
  readonly #durable: Durable;

  constructor(connection: Connection, durable: Durable) {
    this.#connection = connection;
    this.#durable = durable;
  }

  async apply(layer: Descriptor, mounts: readonly Mount[], opts: ApplyOptions = {}): Promise<Applied> {
    const { codec = 'auto', limits = {}, owner = 'keep', signal } = opts;
    if (codec !== 'auto') throw notOurs(`--codec ${codec}`);
    if (owner !== 'keep') throw notOurs(`--owner ${owner}`);
    if (Object.keys(limits).length > 0) throw notOurs('a limit for layers');
    // containerd 2.0 and later makes it durable itself; others do not look at it.
    const request = { diff: fromDescriptor(layer), mounts, syncFs: true };
    const { digest, size } = await this.#apply(request, { signal, deadline: 0 });
    this.#durable.wrote(mounts);
    return { digest: parseDigest(digest), size, warnings: [], record: undefined };
  }

  async #apply(request: Calls['diff.v1.Diff/Apply'][0], call: CallOptions): Promise<DescriptorMessage> {
    try {
      const { applied } = await this.#connection.call('diff.v1.Diff/Apply', request, call);
      return need(applied, 'what it applied');
    } catch (err) {
      call.signal?.throwIfAborted();
      throw isKind(err, 'Unavailable') ? err : wrap('containerd cannot apply it', err);
    }
  }
}

function notOurs(what: string): HawserError {
  return new HawserError('NotImplemented', `Cannot unpack with ${what}: containerd applies the layers`);
}
