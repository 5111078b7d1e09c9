/**
 * hawser where there are Web APIs and nothing else: Deno without permissions but the network, edge functions, Node and Bun, too. Registries are
 * asked and images are read, in memory; nothing is stored.
 *
 * ```ts
 * import { files, open } from 'hawser/web';
 * for await (const file of files('ghcr.io/org/app:1.2', { path: '/etc' })) console.log(file.path, file.size);
 * const text = await new Response(await open('ghcr.io/org/app:1.2', '/etc/os-release')).text();
 * ```
 *
 * Everything is verified as by `hawser`: digests, sizes, the limits for documents and layers, and where redirects and token servers may lead by
 * what their URLs spell. What the standard's fetch gives no hold of is not checked:
 *
 * - which addresses a name has: a registry may lead to a name that stands for a private address, be it the machine's own. Where that
 *   matters, give the program no way to such addresses (`deno run --allow-net=ghcr.io,...`);
 * - certificates are the runtime's to check; there are no client certificates, roots, proxies, mirrors or stored credentials;
 * - times to connect and to answer are one limit.
 *
 * Layers by zstd take WebAssembly (NotImplemented where a runtime compiles none); gzip does without.
 *
 * In a browser a registry must allow requests from the page (CORS), and no redirect can be followed, as none is shown: FailedPrecondition.
 * @module
 */
export {
  type ErrorDetail,
  type ExchangeCode,
  HawserError,
  hintOf,
  isKind,
  type Kind,
  kindOf,
  type Reason,
  reasonOf,
} from './core/errors.ts';
export type { FileType } from './core/files/entries.ts';
export type { LayerLimits } from './core/layers/layer-settings.ts';
export type { Descriptor, Platform } from './core/oci/descriptor.ts';
export { type Digest, isDigest, parseDigest } from './core/oci/digest.ts';
export type { HistoryEntry, ImageConfig, Index, Manifest, RunConfig } from './core/oci/documents.ts';
export type { Call } from './core/ports/call.ts';
export type { HashName } from './core/ports/hashers.ts';
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
export type { LayoutImage, Reference } from './core/reference/reference.ts';
export type { Capability, Operation } from './core/registry/hosts.ts';
export type { HostSummary, Observe, RegistryEvent } from './core/registry/observe.ts';
export type { Limits } from './core/registry/open.ts';
export type { RetryOptions } from './core/registry/patience.ts';
export type { Referrers } from './core/registry/registry.ts';
export type { TraceEvent } from './core/registry/trace.ts';
export type { ImageFile } from './entry/image-file.ts';
export type { ApiNetworkOptions } from './entry/network-options.ts';
export type {
  ConfigDocument,
  ImageDocument,
  IndexDocument,
  ManifestDocument,
  OtherDocument,
  RawDocument,
} from './entry/questions.ts';
export { parseReference } from './entry/references.ts';
export {
  catalog,
  config,
  digestOf,
  files,
  manifest,
  open,
  open as openContent,
  referrers,
  resolve,
  tags,
  type WebDocumentOptions,
  type WebFilesOptions,
  type WebOpenOptions,
  type WebReferrersOptions,
} from './entry/web.ts';
