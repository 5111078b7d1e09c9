/**
 * hawser as a library: pull container images from TypeScript, on Node, Deno or Bun.
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
 *
 * `resolve`, `manifest`, `config`, `tags`, `catalog`, `referrers`, `plan` ask; `fetch`, `pull`, `unpack`, `unpackRootfs`, `bundle` bring; `files` and `open` read an
 * image in place; `images`, `usage`, `collectionPlan`, `tag`, `prune`, `verify`, `repair`, `recover` look after a store; `exportImages`, `importImages`, `push`, `copy`,
 * `serve` pass images on. `hawser/web` has the questions, `files` and `open` for runtimes with Web APIs alone.
 *
 * Every asynchronous call takes a `signal`. Opening a store and the verbs end with Canceled when the signal aborts; the reason is
 * among the causes. What goes wrong is a {@linkcode HawserError}: `isKind` tells its kind, `hintOf` what
 * the user can do.
 * @module
 */
export type { GcResult } from './core/backend.ts';
export type {
  Arriving,
  ContentStore,
  Follower,
  Info,
  InfoProvider,
  Ingest,
  Ingester,
  IngestManager,
  IngestStatus,
  Labels,
  Manager as ContentManager,
  Provider as ContentProvider,
  Verifier as ContentVerifier,
} from './core/content/content-store.ts';
export type { Namespace, Namespaces } from './core/content/namespace-store.ts';
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
export type { FileType } from './core/files/entries.ts';
export type { GcCause, GcRoot } from './core/gc/mark.ts';
export type { GcNode } from './core/gc/references.ts';
export type { GcItem, GcKept, GcPlan, GcType } from './core/gc/survey.ts';
export type { ImageUsage, StoreUsage, Sum } from './core/gc/usage.ts';
export type { Image, Image as ImageRecord, ImageStore, PutImageCall } from './core/images/image-store.ts';
export type { LayerLimits, LayerSettings } from './core/layers/layer-settings.ts';
export type { Lease, LeaseOptions, LeaseResource, Leases } from './core/leases/lease-store.ts';
export type { Descriptor, Platform } from './core/oci/descriptor.ts';
export { type Digest, isDigest, parseDigest } from './core/oci/digest.ts';
export type { HistoryEntry, ImageConfig, Index, Manifest, RunConfig } from './core/oci/documents.ts';
export type { Call, WriteCall } from './core/ports/call.ts';
export type { CodecChoice } from './core/ports/codecs.ts';
export type { HashName } from './core/ports/hashers.ts';
export type { ServerTls } from './core/ports/http-server.ts';
export type { Mount } from './core/ports/mounter.ts';
export type { TlsOptions } from './core/ports/transport.ts';
export type {
  BlobStatus,
  ImageEvent,
  ProgressEvent,
  ProgressEvent as TransferEvent,
  Report,
  Report as ReportProgress,
  Stage,
  StageTimes,
} from './core/progress/events.ts';
export type {
  ErrorEvent,
  ErrorEvent as FailureEvent,
  FinalEvent,
  ImageDone,
  ImageFailure,
  ProgressLine,
  RegistryFailure,
} from './core/progress/final-event.ts';
export type { LayoutImage, Reference } from './core/reference/reference.ts';
export type { Capability, Operation } from './core/registry/hosts.ts';
export type { HostSummary, Observe, RegistryEvent } from './core/registry/observe.ts';
export type { Limits } from './core/registry/open.ts';
export type { RetryOptions } from './core/registry/patience.ts';
export type { Referrers } from './core/registry/registry.ts';
export type { TraceEvent } from './core/registry/trace.ts';
export type { ServeEvent } from './core/serve/events.ts';
export type {
  PreparedSnapshot,
  SnapshotInfo,
  SnapshotKind,
  SnapshotTrees,
  Snapshotter,
  Usage,
} from './core/snapshots/snapshotter.ts';
export type { Difference, TreeProblem } from './core/trees/compare.ts';
export type { PolicyChoice } from './core/trust/choose-policy.ts';
export type { Cost, Evidence, TaggedDocument } from './core/trust/evidence.ts';
export type { Acceptance, Refusal, Subject, Verdict } from './core/trust/verdict.ts';
export type { Voucher } from './core/trust/voucher.ts';
export type { OwnerMode } from './core/users/owner-policy.ts';
export type { BlobTotal, ExportedImage, ExportResult } from './core/verbs/export.ts';
export type { ImportResult } from './core/verbs/import.ts';
export type { JudgedImageRecord } from './core/verbs/judge-stored.ts';
export type { FetchResult, PullResult, UnpackedPlatform } from './core/verbs/options.ts';
export type { PlannedBlob } from './core/verbs/plan-store.ts';
export type { KeptImage, PruneChoice } from './core/verbs/prune.ts';
export type { PlannedUnpack, PullPlan } from './core/verbs/pull-plan.ts';
export type { PushResult } from './core/verbs/push.ts';
export type { ImportedImage } from './core/verbs/record-imported.ts';
export type { Leftovers, RecoverReport } from './core/verbs/recover.ts';
export type { RepairReport } from './core/verbs/repair.ts';
export type { RootfsResult } from './core/verbs/rootfs.ts';
export type {
  BadDocument,
  Damage,
  DamagedBlob,
  DamagedLabels,
  DamagedRecords,
  DamagedSnapshot,
  SoundThings,
  Unchecked,
  VerifyProgress,
  VerifyReport,
} from './core/verify/report.ts';
export {
  type ApiFetchOptions,
  type ApiPullOptions,
  type ApiRegistryOptions,
  type ApiTransferOptions,
  fetch,
  fetch as fetchImage,
  pull,
} from './entry/api.ts';
export {
  type ApiDocumentOptions,
  type ApiReferrersOptions,
  catalog,
  config,
  manifest,
  referrers,
  resolve,
  tags,
} from './entry/ask.ts';
export type { ApiAskOptions } from './entry/asking.ts';
export {
  type ApiImagesOptions,
  type ApiPruneOptions,
  type ApiTagOptions,
  collectionPlan,
  images,
  prune,
  tag,
  usage,
} from './entry/care.ts';
export {
  type ApiExportOptions,
  type ApiImportOptions,
  exportImages,
  importImages,
} from './entry/carry.ts';
export { digestOf } from './entry/digests.ts';
export {
  type ApiFilesOptions,
  type ApiOpenOptions,
  files,
  open,
  open as openContent,
} from './entry/files.ts';
export type { ApiGateOptions } from './entry/gate.ts';
export type { ImageFile } from './entry/image-file.ts';
export type { ApiNetworkOptions } from './entry/network-options.ts';
export { plan } from './entry/plan.ts';
export { type ApiCopyOptions, type ApiPushOptions, type ApiSendOptions, copy, push } from './entry/push.ts';
export type {
  ConfigDocument,
  ImageDocument,
  IndexDocument,
  ManifestDocument,
  OtherDocument,
  RawDocument,
} from './entry/questions.ts';
export { recover } from './entry/recover.ts';
export { parseReference } from './entry/references.ts';
export { type ApiServeOptions, type ImageServer, serve } from './entry/serve.ts';
export {
  type AnyStore,
  type BlobFiles,
  type ContainerdStoreOptions,
  openContainerd,
  openStore,
  type Store,
  type StoreOptions,
} from './entry/stores.ts';
export {
  type ApiDirectoryOptions,
  type ApiUnpackOptions,
  bundle,
  unpack,
  unpackRootfs,
} from './entry/unpack.ts';
export {
  type ApiRepairOptions,
  type ApiSignaturesOptions,
  type ApiVerifyOptions,
  repair,
  verify,
  verifySignatures,
} from './entry/verify.ts';
