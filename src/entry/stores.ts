/** The library's stores: what a program sees of one, and how it is opened. */

import { chooseRoot } from '../backends/local/default-root.ts';
import { lossWarning } from '../backends/local/lost.ts';
import type { LocalBackend } from '../backends/local/open.ts';
import { backends } from '../backends/open.ts';
import { canceling } from '../core/async/abort.ts';
import { cleanedUp, closingAfter } from '../core/async/cleanup.ts';
import { type Backend, closedStore, type GcResult } from '../core/backend.ts';
import type { ContentStore } from '../core/content/content-store.ts';
import type { Namespaces } from '../core/content/namespace-store.ts';
import { HawserError } from '../core/errors.ts';
import type { ImageStore } from '../core/images/image-store.ts';
import type { Leases } from '../core/leases/lease-store.ts';
import type { Digest } from '../core/oci/digest.ts';
import type { Call } from '../core/ports/call.ts';
import type { Report } from '../core/progress/events.ts';
import type { Runtime } from '../core/runtime.ts';
import type { Snapshotter } from '../core/snapshots/snapshotter.ts';
import { called, type OptionNames } from './called.ts';
import { defaultRuntime } from './library.ts';

const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';

/** One namespace of an open store, hawser's own or a containerd's. Disposing ends what the store runs, and closes it. */
export interface AnyStore extends AsyncDisposable {
  /** The name of the namespace. */
  readonly namespace: string;
  /** The blobs, by digest. */
  readonly content: ContentStore;
  /** The image records, by name. */
  readonly images: ImageStore;
  /** What the garbage collection must keep although no image names it. */
  readonly leases: Leases;
  /** All namespaces, this one and others. */
  readonly namespaceStore: Namespaces;
  /** The names that `snapshotter` takes. */
  readonly snapshotterNames: readonly string[];
  /** `name`: by default the one that a containerd's namespace names, else `overlayfs`. InvalidArgument for a name that is not there. */
  snapshotter(name?: string): Snapshotter;
  /**
   * Removes content and snapshots that no image and no lease references. Undefined for a containerd, which does so by itself and
   * does not say what it removed.
   */
  collect(call?: Call): Promise<GcResult | undefined>;
}

/** The blobs of hawser's own store: files in the form of an OCI image layout. */
export interface BlobFiles extends ContentStore {
  /** The absolute path of the file, whether the blob is there or not. */
  blobPath(digest: Digest): string;
}

/** hawser's own store. */
export interface Store extends AnyStore {
  /** The blobs, by digest, and their files. */
  readonly content: BlobFiles;
  /** The directory: an absolute, normalised path. */
  readonly root: string;
  /** Every namespace that was ever written to, in order. */
  namespaces(call?: Call): Promise<string[]>;
  /** Removes content and snapshots that no image and no lease references. */
  collect(call?: Call): Promise<GcResult>;
}

/** What `openStore` takes. */
export interface StoreOptions extends Call {
  /** Default: HAWSER_ROOT, else /var/lib/hawser as root, else under XDG_DATA_HOME. */
  readonly root?: string | undefined;
  /** Default: `default`. */
  readonly namespace?: string | undefined;
  /** `isolated`: a blob is fetched even if another namespace has it. Default `shared`. */
  readonly contentSharing?: 'shared' | 'isolated' | undefined;
  /** Gets warnings: that the database of this store was lost. */
  readonly onProgress?: Report | undefined;
}

/** What `openContainerd` takes. */
export interface ContainerdStoreOptions extends Call {
  /** The path of its socket. Default: CONTAINERD_ADDRESS, else /run/containerd/containerd.sock. */
  readonly address?: string | undefined;
  /** Default: `default`. */
  readonly namespace?: string | undefined;
}

export const STORE_NAMES: OptionNames<StoreOptions> = {
  signal: true,
  root: true,
  namespace: true,
  contentSharing: true,
  onProgress: true,
};
const CONTAINERD_NAMES: OptionNames<ContainerdStoreOptions> = {
  signal: true,
  address: true,
  namespace: true,
};

/** What the verbs need of a store besides what a program sees. */
interface Parts {
  readonly backend: Backend;
  readonly runtime: Runtime;
}

const opened = new WeakMap<AnyStore, Parts>();
const closed = new WeakSet<AnyStore>();

/**
 * Opens the store, made when absent. Several processes may have one open. FailedPrecondition for a directory that is no store or that a newer hawser
 * made, PermissionDenied, DataLoss for a damaged database (`recover`).
 *
 * ```ts
 * const store = await openStore({ root: '/var/lib/images' });
 * try {
 *   await fetchImage('alpine:3.20', { store });
 * } finally {
 *   await store[Symbol.asyncDispose]();
 * }
 * ```
 */
export async function openStore(options: StoreOptions = {}): Promise<Store> {
  return await called(STORE_NAMES, options, async (options) => {
    const { namespace = 'default', contentSharing } = options;
    return await withRuntime<LocalBackend>(options, async (runtime, signal) => {
      const root = chooseRoot(options.root ?? (runtime.host.env('HAWSER_ROOT') || undefined), runtime.host);
      const backend = await backends.local(runtime, { root, namespace, contentSharing, signal });
      const message = lossWarning(backend.lostIndexes);
      if (message !== undefined) options.onProgress?.({ type: 'warning', message });
      return backend;
    });
  });
}

/**
 * Connects to a containerd, whose namespace is the store. Unavailable or PermissionDenied when there is no containerd to talk to.
 *
 * ```ts
 * const store = await openContainerd({ namespace: 'k8s.io' });
 * ```
 */
export async function openContainerd(options: ContainerdStoreOptions = {}): Promise<AnyStore> {
  return await called(CONTAINERD_NAMES, options, async (options) => {
    const { namespace = 'default' } = options;
    return await withRuntime<Backend>(options, async (runtime, signal) => {
      const address = options.address ?? (runtime.host.env('CONTAINERD_ADDRESS') || CONTAINERD_SOCKET);
      return await backends.containerd(runtime, { address, namespace, signal });
    });
  });
}

/** Makes a store of a backend: the verbs take both from here on. */
export function asStore<B extends Backend>(backend: B, runtime: Runtime): B {
  opened.set(backend, { backend, runtime });
  return backend;
}

/** FailedPrecondition for a store that has been disposed, InvalidArgument for an object that `openStore` and `openContainerd` of this module did not return. */
export function partsOf(store: AnyStore): Parts {
  const parts = opened.get(store);
  if (closed.has(store)) throw closedStore();
  if (parts !== undefined) return parts;
  throw new HawserError('InvalidArgument', 'The store was not opened by this copy of hawser', {
    hint: 'Pass on, unchanged, what openStore or openContainerd returned',
  });
}

/** The backend as a store with a runtime of its own, whose workers end with it, whatever closing it comes to. */
async function withRuntime<B extends Backend>(
  call: Call,
  open: (runtime: Runtime, signal: AbortSignal | undefined) => Promise<B>,
): Promise<B> {
  const runtime = await defaultRuntime();
  const { workers } = runtime;
  try {
    const backend = await canceling(call.signal, (signal) => open(runtime, signal));
    const close = async (): Promise<void> => {
      closed.add(store);
      await closingAfter(
        async () => await backend[Symbol.asyncDispose](),
        () => workers[Symbol.asyncDispose](),
      );
    };
    const store: B = asStore({ ...backend, [Symbol.asyncDispose]: close }, runtime);
    return store;
  } catch (err) {
    throw await cleanedUp(err, () => workers[Symbol.asyncDispose]());
  }
}
