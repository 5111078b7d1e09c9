/** The library's ways to open a store. */

import { chooseRoot } from '../backends/local/default-root.ts';
import type { LocalBackend } from '../backends/local/open.ts';
import { backends } from '../backends/open.ts';
import { cleanedUp } from '../core/async/cleanup.ts';
import type { Backend } from '../core/backend.ts';
import type { Call } from '../core/ports/call.ts';
import type { Runtime } from '../core/runtime.ts';
import { defaultRuntime } from './library.ts';

const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';

export interface StoreOptions extends Call {
  /** Default: HAWSER_ROOT, else /var/lib/hawser as root, else under XDG_DATA_HOME. */
  readonly root?: string | undefined;
  /** Default: `default`. */
  readonly namespace?: string | undefined;
  /** `isolated`: a blob is fetched even if another namespace has it. Default `shared`. */
  readonly contentSharing?: 'shared' | 'isolated' | undefined;
}

/** An open store. Disposing ends what it runs (workers, locks) and closes it. */
export interface Store extends LocalBackend {
  readonly runtime: Runtime;
}

/** Opens the store, made when absent. */
export async function openStore(options: StoreOptions = {}): Promise<Store> {
  const { namespace = 'default', contentSharing, signal } = options;
  return await withRuntime(async (runtime) => {
    const root = chooseRoot(options.root ?? (runtime.host.env('HAWSER_ROOT') || undefined), runtime.host);
    return await backends.local(runtime, { root, namespace, contentSharing, signal });
  });
}

export interface ContainerdStoreOptions extends Call {
  /** The path of its socket. Default: CONTAINERD_ADDRESS, else /run/containerd/containerd.sock. */
  readonly address?: string | undefined;
  /** Default: `default`. */
  readonly namespace?: string | undefined;
}

/** A namespace of a running containerd. `fetch`, `pull` and `unpack` work in it. */
export interface ContainerdStore extends Backend {
  readonly runtime: Runtime;
}

/** Connects. Unavailable or PermissionDenied when there is no containerd to talk to. */
export async function openContainerd(options: ContainerdStoreOptions = {}): Promise<ContainerdStore> {
  const { namespace = 'default', signal } = options;
  return await withRuntime(async (runtime) => {
    const address = options.address ?? (runtime.host.env('CONTAINERD_ADDRESS') || CONTAINERD_SOCKET);
    return await backends.containerd(runtime, { address, namespace, signal });
  });
}

/** The backend with a runtime of its own, whose workers end with it, whatever closing it comes to. */
async function withRuntime<B extends Backend>(
  open: (runtime: Runtime) => Promise<B>,
): Promise<B & { readonly runtime: Runtime }> {
  const runtime = await defaultRuntime();
  const { workers } = runtime;
  try {
    const backend = await open(runtime);
    const close = async (): Promise<void> => {
      try {
        await backend[Symbol.asyncDispose]();
      } finally {
        await workers[Symbol.asyncDispose]();
      }
    };
    return { ...backend, runtime, [Symbol.asyncDispose]: close };
  } catch (err) {
    throw await cleanedUp(err, () => workers[Symbol.asyncDispose]());
  }
}
