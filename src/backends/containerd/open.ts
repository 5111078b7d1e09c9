/** One namespace of a running containerd as a Backend: the same roles as the local store's, over gRPC. */

import type { Backend } from '../../core/backend.ts';
import { HawserError, isKind } from '../../core/errors.ts';
import { WriteOut } from '../../core/layers/write-out.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Runtime } from '../../core/runtime.ts';
import { ContainerdApplier } from './applier.ts';
import { Connection } from './connection.ts';
import { ContainerdContent } from './content.ts';
import { DirectAccess } from './direct.ts';
import { Durable } from './durable.ts';
import { ContainerdImages } from './images.ts';
import { ContainerdLeases } from './leases.ts';
import { need } from './messages.ts';
import { ContainerdSnapshotter } from './snapshotter.ts';
import { waysOf } from './version.ts';

export interface ContainerdOptions extends Call {
  /** The absolute path of containerd's socket, with or without `unix://`. */
  readonly address: string;
  readonly namespace: string;
}

/** Milliseconds for the first answer: what listens there may not be containerd. */
const FIRST_ANSWER = 10_000;
/** The label of a namespace that names its default snapshotter. */
const DEFAULT_SNAPSHOTTER_LABEL = 'containerd.io/defaults/snapshotter';

/**
 * Connects. Unavailable or PermissionDenied, with a hint, when there is no containerd to talk to. Disposing closes the
 * connection; a call that still runs ends with its own signal.
 */
export async function openContainerdBackend(
  runtime: Pick<Runtime, 'hashers' | 'clock' | 'host' | 'workers' | 'fs' | 'syscalls'>,
  { address, namespace, signal }: ContainerdOptions,
): Promise<Backend> {
  const { hashers, clock, host, workers } = runtime;
  const connection = new Connection(address, namespace);
  try {
    const ways = waysOf(await containerdVersion(connection, { signal }));
    const usual = await defaultSnapshotter(connection, { signal });
    const { usable, contentRoot } = await plugins(connection, { signal });
    const direct = new DirectAccess(connection, runtime, contentRoot);
    const durable = new Durable(workers);
    const writeOut = new WriteOut(runtime);
    const leases = new ContainerdLeases(connection, clock, host);
    return {
      namespace,
      content: new ContainerdContent(connection, hashers),
      images: new ContainerdImages(connection),
      leases,
      applier: new ContainerdApplier(connection, durable, direct, workers, writeOut),
      allMetadata: ways.allMetadata,
      snapshotterNames: usable,
      snapshotter: (name = usual) => {
        if (!usable.includes(name)) throw noSnapshotter(name, usable);
        return new ContainerdSnapshotter(connection, name, direct, ways);
      },
      sync: async (call) => {
        await writeOut.settled();
        await durable.sync(call);
      },
      collect: async (call) => {
        await leases.collect(call);
        return undefined;
      },
      [Symbol.asyncDispose]: async () => {
        await writeOut.settled().catch(() => {});
        direct[Symbol.dispose]();
        connection.close();
      },
    };
  } catch (err) {
    connection.close();
    throw err;
  }
}

async function containerdVersion(connection: Connection, call: Call): Promise<string> {
  try {
    const first = { ...call, deadline: FIRST_ANSWER };
    return (await connection.call('version.v1.Version/Version', {}, first)).version;
  } catch (err) {
    call.signal?.throwIfAborted();
    if (!isKind(err, 'NotImplemented', 'DeadlineExceeded', 'Internal')) throw err;
    const why = isKind(err, 'DeadlineExceeded')
      ? 'no answer in 10 s'
      : 'what answers there is not containerd';
    throw new HawserError('Unavailable', `Cannot reach containerd at ${connection.address}: ${why}`, {
      cause: err,
      hint: 'Give the socket of containerd itself, such as /run/containerd/containerd.sock',
    });
  }
}

async function defaultSnapshotter(connection: Connection, call: Call): Promise<string> {
  const request = { name: connection.namespace };
  const { namespace } = await connection.call('namespaces.v1.Namespaces/Get', request, call);
  return need(namespace, 'the namespace asked for').labels[DEFAULT_SNAPSHOTTER_LABEL] || 'overlayfs';
}

const SNAPSHOTTER_TYPE = 'io.containerd.snapshotter.v1';
const CONTENT_TYPE = 'io.containerd.content.v1';

/** The snapshotters that work, and the directory of the content store, both on containerd's machine. */
async function plugins(
  connection: Connection,
  call: Call,
): Promise<{ usable: string[]; contentRoot: string | undefined }> {
  const request = { filters: [`type==${SNAPSHOTTER_TYPE}`, `type==${CONTENT_TYPE}`] };
  const { plugins } = await connection.call('introspection.v1.Introspection/Plugins', request, call);
  const working = plugins.filter(({ initErr }) => initErr === null);
  return {
    usable: working.filter(({ type }) => type === SNAPSHOTTER_TYPE).map(({ id }) => id),
    contentRoot: working.find(({ type }) => type === CONTENT_TYPE)?.exports.root,
  };
}

function noSnapshotter(name: string, usable: readonly string[]): HawserError {
  return new HawserError(
    'InvalidArgument',
    `Cannot use snapshotter "${name}": this containerd has none of that name that works`,
    { hint: `It has: ${usable.join(', ')}` },
  );
}
