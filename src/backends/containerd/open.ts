/** One namespace of a running containerd as a Backend: the same roles as the local store's, over gRPC. */

import type { Backend } from '../../core/backend.ts';
import { HawserError, isKind } from '../../core/errors.ts';
import { WriteOut } from '../../core/layers/write-out.ts';
import { containerdPlatform } from '../../core/platforms/host.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Runtime } from '../../core/runtime.ts';
import type { RootJudge } from '../../core/trust/verdict.ts';
import { verifierJudge } from '../../core/verifiers/verifier-judge.ts';
import type { VerifierParts } from '../../core/verifiers/verifiers.ts';
import { ContainerdApplier } from './applier.ts';
import { Connection } from './connection.ts';
import { ContainerdContent } from './content.ts';
import { nodeVerifiers } from './daemon-config.ts';
import { DirectAccess } from './direct.ts';
import { Durable } from './durable.ts';
import { ContainerdImages } from './images.ts';
import { ContainerdLeases } from './leases.ts';
import { type Message, need } from './messages.ts';
import { ContainerdNamespaces } from './namespaces.ts';
import { Rebases } from './rebases.ts';
import { ContainerdSnapshotter } from './snapshotter.ts';
import { survey } from './survey.ts';
import { Unsynced } from './unsynced.ts';
import { waysOf } from './version.ts';

export interface ContainerdOptions extends Call {
  /** The absolute path of containerd's socket, with or without `unix://`. */
  readonly address: string;
  readonly namespace: string;
}

/** Milliseconds for the first answer: what listens there may not be containerd. */
const FIRST_ANSWER = 10_000;
/** The namespace of Kubernetes' images (internal/cri/constants). */
const CRI_NAMESPACE = 'k8s.io';
/** The label of a namespace that names its default snapshotter. */
const DEFAULT_SNAPSHOTTER_LABEL = 'containerd.io/defaults/snapshotter';

/**
 * Connects. Unavailable or PermissionDenied, with a hint, when there is no containerd to talk to. Disposing closes the
 * connection; a call that still runs ends with its own signal. Long: the roles of a backend, a line or two each.
 */
export async function openContainerdBackend(
  runtime: Pick<Runtime, 'hashers' | 'clock' | 'host' | 'workers' | 'fs' | 'syscalls' | 'programs'>,
  { address, namespace, signal }: ContainerdOptions,
): Promise<Backend> {
  const { hashers, clock, host, workers } = runtime;
  const connection = new Connection(address, namespace, clock);
  try {
    const ways = waysOf(await containerdVersion(connection, { signal }));
    const usual = await defaultSnapshotter(connection, { signal });
    const { snapshotters, contentRoot, verifiers } = await plugins(connection, { signal });
    const usable = [...snapshotters.keys()];
    const judge = nodeJudge(connection, runtime, verifiers);
    const direct = new DirectAccess(connection, runtime, contentRoot);
    const writeOut = new WriteOut(runtime);
    const durable = new Durable(workers, writeOut, new Unsynced(runtime.fs));
    const leases = new ContainerdLeases(connection, clock, host);
    const snapshotter = onePerName(usual, (name) => {
      const { rebases: capable, remote } = snapshotters.get(name) ?? throwing(noSnapshotter(name, usable));
      const rebases = new Rebases({ name, capable }, connection, direct, runtime);
      return new ContainerdSnapshotter(connection, name, { direct, durable, rebases }, { ...ways, remote });
    });
    const roles = {
      ...{ namespace, leases, snapshotter, snapshotterNames: usable },
      content: new ContainerdContent(connection, hashers, leases),
      images: new ContainerdImages(connection),
    };
    return {
      ...roles,
      namespaceStore: new ContainerdNamespaces(connection),
      applier: new ContainerdApplier(connection, durable, direct, workers, writeOut),
      criNamespace: CRI_NAMESPACE,
      allMetadata: ways.allMetadata,
      platform: containerdPlatform,
      ...(judge === undefined ? {} : { judge }),
      sync: (call) => durable.sync(call),
      collect: (call) => leases.collect(call).then(() => undefined),
      survey: (call) => survey(connection, roles, clock.now(), call),
      [Symbol.asyncDispose]: async () => {
        await durable.close();
        direct[Symbol.dispose]();
        connection.close();
      },
    };
  } catch (err) {
    connection.close();
    throw err;
  }
}

/** Undefined where containerd has none. */
function nodeJudge(
  connection: Connection,
  runtime: VerifierParts,
  verifiers: readonly string[],
): RootJudge | undefined {
  if (verifiers.length === 0) return undefined;
  return verifierJudge(runtime, async (call) => {
    const other = verifiers.find((id) => id !== VERIFIER);
    if (other === undefined) return await nodeVerifiers(connection, runtime, call);
    throw new HawserError('FailedPrecondition', `Cannot ask containerd's image verifier "${other}"`, {
      hint: 'Pull with ctr or crictl, or, when the image needs no verification, with --verifier none',
    });
  });
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
/** The capability of a snapshotter (core/snapshots: RebaseCap, 2.2). */
const REBASE = 'rebase';
/** The export of a snapshotter that wants labels of the image (core/transfer/local/pull.go). */
const ASKS_FOR_IMAGE = 'enable_remote_snapshot_annotations';
const CONTENT_TYPE = 'io.containerd.content.v1';
const VERIFIER_TYPE = 'io.containerd.image-verifier.v1';
/** The verifier whose protocol is known. */
const VERIFIER = 'bindir';

interface Plugins {
  /** Those that work. */
  readonly snapshotters: ReadonlyMap<string, SnapshotterTraits>;
  /** The directory of the content store on containerd's machine. */
  readonly contentRoot: string | undefined;
  /** The image verifiers that work. */
  readonly verifiers: readonly string[];
}

interface SnapshotterTraits {
  /** Commits a snapshot over a parent which it was prepared without. */
  readonly rebases: boolean;
  /** May fetch layers by itself: says so, or is a program of its own (a proxy plugin, which exports its address). */
  readonly remote: boolean;
}

async function plugins(connection: Connection, call: Call): Promise<Plugins> {
  const filters = [SNAPSHOTTER_TYPE, CONTENT_TYPE, VERIFIER_TYPE].map((type) => `type==${type}`);
  const request = { filters };
  const { plugins } = await connection.call('introspection.v1.Introspection/Plugins', request, call);
  const working = plugins.filter(({ initErr }) => initErr === null);
  const all = (wanted: string) => working.filter(({ type }) => type === wanted);
  return {
    snapshotters: new Map(all(SNAPSHOTTER_TYPE).map((plugin) => [plugin.id, traitsOf(plugin)])),
    contentRoot: all(CONTENT_TYPE)[0]?.exports.root,
    verifiers: all(VERIFIER_TYPE).map(({ id }) => id),
  };
}

function traitsOf({ capabilities, exports }: Message<'Plugin'>): SnapshotterTraits {
  const remote = exports[ASKS_FOR_IMAGE] === 'true' || exports.address !== undefined;
  return { rebases: capabilities.includes(REBASE), remote };
}

function onePerName<T>(usual: string, make: (name: string) => T): (name?: string) => T {
  const made = new Map<string, T>();
  return (name = usual) => {
    const one = made.get(name) ?? make(name);
    made.set(name, one);
    return one;
  };
}

function throwing(err: HawserError): never {
  throw err;
}

function noSnapshotter(name: string, usable: readonly string[]): HawserError {
  return new HawserError(
    'InvalidArgument',
    `Cannot use snapshotter "${name}": this containerd has none of that name that works`,
    { hint: `It has: ${usable.join(', ')}` },
  );
}
