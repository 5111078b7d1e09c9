/**
 * hawser as a library: pull container images from TypeScript, on Node or Deno.
 *
 * ```ts
 * import { openStore, pull } from 'hawser';
 * const store = await openStore({ root: '/var/lib/hawser' });
 * try {
 *   const image = await pull('docker.io/library/alpine:3.20', { store });
 *   console.log(image.target.digest, image.unpacked[0]?.chainId);
 * } finally {
 *   await store[Symbol.asyncDispose]();
 * }
 * ```
 */
export type { ContentStore, Info, Labels } from './core/content/content-store.ts';
export {
  type ErrorDetail,
  type ExchangeCode,
  exitCodeOf,
  HawserError,
  hintOf,
  isKind,
  type Kind,
  kindOf,
  type Reason,
  reasonOf,
} from './core/errors.ts';
export type { Image, ImageStore } from './core/images/image-store.ts';
export type { LayerLimits, LayerSettings } from './core/layers/layer-settings.ts';
export type { Descriptor, Platform } from './core/oci/descriptor.ts';
export type { Digest } from './core/oci/digest.ts';
export type { Mount } from './core/ports/mounter.ts';
export type { ProgressEvent, Report } from './core/progress/events.ts';
export { parseReference } from './core/reference/parse.ts';
export type { Reference } from './core/reference/reference.ts';
export type { HostSummary, Observe, RegistryEvent } from './core/registry/observe.ts';
export type { SnapshotInfo, Snapshotter, Usage } from './core/snapshots/snapshotter.ts';
export type { FetchResult, PullResult, UnpackedPlatform } from './core/verbs/options.ts';
export type { RootfsResult } from './core/verbs/rootfs.ts';
export {
  type ApiFetchOptions,
  type ApiPullOptions,
  type ApiTransferOptions,
  fetch,
  pull,
} from './entry/api.ts';
export * from './entry/stores.ts';
export {
  type ApiDirectoryOptions,
  type ApiUnpackOptions,
  bundle,
  unpack,
  unpackRootfs,
} from './entry/unpack.ts';
