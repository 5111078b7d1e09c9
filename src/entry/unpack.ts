/** The library's verbs for an image that is in a store: into snapshots, into a directory, into a runtime bundle. */
import type { Image } from '../core/images/image-store.ts';
import { type LayerSettings, settingsOf } from '../core/layers/layer-settings.ts';
import { hostPlatform } from '../core/platforms/host.ts';
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

/** Into snapshots. NotFound when the image or a layer of it is not in the store. */
export async function unpack(reference: string, options: ApiUnpackOptions): Promise<PullResult> {
  const { platforms, snapshotter, signal, onProgress } = options;
  const { deps, image } = await find(reference, options);
  const wanted = platforms?.map((text) => parsePlatform(text, deps.hostPlatform));
  const rest = { snapshotter, layerSettings: settingsOf(options), signal, report: onProgress };
  return await unpackImage(deps, image, { platforms: wanted, ...rest });
}

/** The image's tree at `dir` (absolute), which is there and whole, or not there. AlreadyExists for one that is not empty. */
export async function unpackRootfs(
  reference: string,
  dir: string,
  options: ApiDirectoryOptions,
): Promise<RootfsResult> {
  const { deps, image } = await find(reference, options);
  return await toRootfs(deps, image, directoryOptions(deps, dir, options));
}

/** The same with the tree in `dir/rootfs`, and a config.json for runc and crun. */
export async function bundle(
  reference: string,
  dir: string,
  options: ApiDirectoryOptions & { readonly tty?: boolean | undefined },
): Promise<RootfsResult> {
  const { deps, image } = await find(reference, options);
  return await bundleImage(deps, image, { ...directoryOptions(deps, dir, options), tty: options.tty });
}

async function find(
  reference: string,
  { store, signal }: Call & { readonly store: AnyStore },
): Promise<{ readonly deps: OutputDeps; readonly image: Image }> {
  const { backend, runtime } = partsOf(store);
  const { clock, hashers, codecs, host } = runtime;
  const image = await store.images.get(parseReference(reference).name, { signal });
  const own = { hostPlatform: hostPlatform(host), cpus: host.cpus };
  return { deps: { backend, runtime, clock, hashers, codecs, ...own }, image };
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
