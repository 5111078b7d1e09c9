/** The library's verbs for an image that is in a store: into snapshots, into a directory, into a runtime bundle. */
import { canceling } from '../core/async/abort.ts';
import type { Image } from '../core/images/image-store.ts';
import { type LayerSettings, settingsOf } from '../core/layers/layer-settings.ts';
import { defaultPlatform } from '../core/platforms/host.ts';
import { parsePlatform } from '../core/platforms/parse.ts';
import type { Call } from '../core/ports/call.ts';
import type { Report } from '../core/progress/events.ts';
import { parseReference } from '../core/reference/parse.ts';
import { bundleImage } from '../core/verbs/bundle.ts';
import type { PullResult } from '../core/verbs/options.ts';
import {
  type OutputDeps,
  type RootfsOptions,
  type RootfsResult,
  unpackRootfs as toRootfs,
} from '../core/verbs/rootfs.ts';
import { unpackImage } from '../core/verbs/unpack.ts';
import { platformsOf } from './api.ts';
import { called, LAYER_NAMES, type OptionNames, SNAPSHOT_NAMES } from './called.ts';
import { type AnyStore, partsOf, type Store } from './stores.ts';

/** What `unpack` takes. */
export interface ApiUnpackOptions extends Call, Omit<LayerSettings, 'owner'> {
  /** Has the image, and gets the snapshots. */
  readonly store: AnyStore;
  /** `linux/arm64`. Default: the host's. */
  readonly platforms?: readonly string[] | undefined;
  /** Gets what happens, as it happens. */
  readonly onProgress?: Report | undefined;
  /** A name out of the store's `snapshotterNames`. Default: as for `snapshotter()` of the store. */
  readonly snapshotter?: string | undefined;
}

/** What `unpackRootfs` and `bundle` take. */
export interface ApiDirectoryOptions extends Call, Omit<LayerSettings, 'jobs'> {
  /** Has the image. */
  readonly store: Store;
  /** `linux/arm64`. Default: the host's. */
  readonly platform?: string | undefined;
  /** Gets what happens, as it happens. */
  readonly onProgress?: Report | undefined;
  /** Replaces a directory that is not empty. */
  readonly force?: boolean | undefined;
}

const UNPACK_NAMES: OptionNames<ApiUnpackOptions> = {
  ...SNAPSHOT_NAMES,
  signal: true,
  store: true,
  platforms: true,
  onProgress: true,
  snapshotter: true,
};
const ROOTFS_NAMES: OptionNames<ApiDirectoryOptions> = {
  codec: LAYER_NAMES.codec,
  limits: LAYER_NAMES.limits,
  owner: LAYER_NAMES.owner,
  signal: true,
  store: true,
  platform: true,
  onProgress: true,
  force: true,
};
const BUNDLE_NAMES = { ...ROOTFS_NAMES, tty: true } as const;

/**
 * Unpacks an image of the store into snapshots; nothing is fetched. NotFound when the image or a layer of it is not in the store;
 * DataLoss when a layer is damaged; FailedPrecondition where no snapshots can be made, as without root.
 *
 * ```ts
 * await fetchImage('alpine:3.20', { store });
 * const { unpacked } = await unpack('alpine:3.20', { store });
 * ```
 */
export async function unpack(reference: string, options: ApiUnpackOptions): Promise<PullResult> {
  return await called(UNPACK_NAMES, options, async (options) => {
    const { platforms, snapshotter, onProgress } = options;
    return await withImage(reference, options, (deps, image, signal) =>
      unpackImage(deps, image, {
        platforms: platformsOf<never>(platforms, deps.hostPlatform),
        snapshotter,
        layerSettings: settingsOf(options),
        report: onProgress,
        signal,
      }),
    );
  });
}

/**
 * Makes the tree of an image of the store at `dir` (absolute), which comes to be there whole, or not at all. AlreadyExists for a
 * directory that is not empty, unless `force`; NotFound and DataLoss as for `unpack`. Needs no root: `owner` says whose the files are.
 *
 * ```ts
 * await unpackRootfs('alpine:3.20', '/srv/rootfs', { store, owner: 'ours' });
 * ```
 */
export async function unpackRootfs(
  reference: string,
  dir: string,
  options: ApiDirectoryOptions,
): Promise<RootfsResult> {
  return await called(ROOTFS_NAMES, options, async (options) => {
    return await withImage(reference, options, (deps, image, signal) =>
      toRootfs(deps, image, directoryOptions(deps, dir, { ...options, signal })),
    );
  });
}

/**
 * The same with the tree in `dir/rootfs`, and a config.json for runc and crun by the image-spec's conversion rules. `tty`: the
 * process gets a terminal.
 *
 * ```ts
 * await bundle('alpine:3.20', '/srv/bundle', { store }); // runc run --bundle /srv/bundle NAME
 * ```
 */
export async function bundle(
  reference: string,
  dir: string,
  options: ApiDirectoryOptions & { readonly tty?: boolean | undefined },
): Promise<RootfsResult> {
  return await called(BUNDLE_NAMES, options, async (options) => {
    return await withImage(reference, options, (deps, image, signal) =>
      bundleImage(deps, image, { ...directoryOptions(deps, dir, { ...options, signal }), tty: options.tty }),
    );
  });
}

/** `work` gets the record of the image, and a signal in place of the caller's. */
async function withImage<T>(
  reference: string,
  { store, signal: given }: Call & { readonly store: AnyStore },
  work: (deps: OutputDeps, image: Image, signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  const { backend, runtime } = partsOf(store);
  const { clock, hashers, codecs, host } = runtime;
  const deps = {
    backend,
    runtime,
    clock,
    hashers,
    codecs,
    hostPlatform: defaultPlatform(backend, host),
    cpus: host.cpus,
  };
  const { name } = parseReference(reference);
  return await canceling(given, async (signal) =>
    work(deps, await store.images.get(name, { signal }), signal),
  );
}

function directoryOptions(deps: OutputDeps, dir: string, options: ApiDirectoryOptions): RootfsOptions {
  const { store, platform, force, signal, onProgress } = options;
  return {
    dir,
    force,
    keepOut: [store.root],
    platform: platform === undefined ? undefined : parsePlatform(platform, deps.hostPlatform),
    layerSettings: settingsOf(options),
    report: onProgress,
    signal,
  };
}
