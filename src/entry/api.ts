/** The library's verbs that fetch: the parts of the command line, with the runtime found and the defaults filled in. */
import { canceling } from '../core/async/abort.ts';
import { cleaningUp } from '../core/async/cleanup.ts';
import { isLayoutSource, referenceOf } from '../core/carry/layout-source.ts';
import { withLayouts } from '../core/carry/with-layouts.ts';
import { HawserError, messageOf } from '../core/errors.ts';
import { type LayerSettings, settingsOf } from '../core/layers/layer-settings.ts';
import type { Platform } from '../core/oci/descriptor.ts';
import { defaultPlatform } from '../core/platforms/host.ts';
import { parsePlatform } from '../core/platforms/parse.ts';
import type { TlsOptions } from '../core/ports/transport.ts';
import { parseReference } from '../core/reference/parse.ts';
import type { Reference } from '../core/reference/reference.ts';
import type { Credentials } from '../core/registry/credentials/credential.ts';
import { environmentOptions } from '../core/registry/environment.ts';
import { openRegistry } from '../core/registry/open.ts';
import type { Registry } from '../core/registry/registry.ts';
import type { Runtime } from '../core/runtime.ts';
import { fetchImage } from '../core/verbs/fetch.ts';
import type { FetchOptions, FetchResult, PullResult, TransferDeps } from '../core/verbs/options.ts';
import { pull as pullImage } from '../core/verbs/pull.ts';
import { called, type OptionNames, SNAPSHOT_NAMES } from './called.ts';
import { type ApiGateOptions, apiGate, GATE_NAMES } from './gate.ts';
import { type ApiNetworkOptions, checkDurations, clientOptions, NETWORK_NAMES } from './network-options.ts';
import { checkRestriction } from './restriction.ts';
import { type AnyStore, openStore, partsOf } from './stores.ts';

/** How registries are asked on Node, Deno and Bun, as the machine is set up. */
export interface ApiRegistryOptions extends ApiNetworkOptions {
  /** Certificates and keys, for every host without settings of its own. */
  readonly tls?: TlsOptions | undefined;
  /** A directory of hosts.toml files. Default: /etc/containerd/certs.d, then /etc/docker/certs.d. */
  readonly hostsDir?: string | undefined;
}

/** What `fetch` and `pull` take. */
export interface ApiTransferOptions extends ApiRegistryOptions, ApiGateOptions {
  /** Default: a store opened for this call alone, with its defaults. */
  readonly store?: AnyStore | undefined;
  /** `linux/arm64`; `'all'` for every one that the image has. Default: the host's. */
  readonly platforms?: readonly string[] | 'all' | undefined;
  /**
   * Keeps all signatures of the image in the store, whatever `verify` asks for, so that `exportImages` carries them and `verifySignatures` finds them.
   * Default: those that let the image in.
   */
  readonly signatures?: boolean | undefined;
  /** For the image record. Labels that the record has already stay. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Manifests and configs of all platforms, layers of the wanted ones. */
  readonly allMetadata?: boolean | undefined;
  /**
   * Inside containerd: records all names that Kubernetes (CRI) looks for: the image's ID, `repository@digest` and the name. Default: in the
   * namespace that CRI reads, `k8s.io`.
   */
  readonly forCri?: boolean | undefined;
  /** Pins the image: garbage collections of Kubernetes and of hawser leave it alone. */
  readonly pin?: boolean | undefined;
  /** Blobs and documents fetched at once. 0 or not given: 6. */
  readonly maxConcurrentDownloads?: number | undefined;
  /** Starts although the image cannot fit into the free space of the disk. */
  readonly force?: boolean | undefined;
  /** Milliseconds for which a failed call keeps what it has fetched, for the next one to go on with. Default: a day; 0: not at all. */
  readonly keepPartial?: number | undefined;
  /** Fetches content from the URLs that the image names first, without credentials. */
  readonly foreignUrls?: boolean | undefined;
}

/** What `fetch` takes. */
export interface ApiFetchOptions extends ApiTransferOptions {
  /** Manifests and configs of all platforms, no layers; `platforms` has no say then. */
  readonly metadataOnly?: boolean | undefined;
}

/** What `pull` takes. */
export interface ApiPullOptions extends ApiTransferOptions, Omit<LayerSettings, 'owner'> {
  /** A name out of the store's `snapshotterNames`. Default: as for `snapshotter()` of the store. */
  readonly snapshotter?: string | undefined;
}

export const REGISTRY_NAMES: OptionNames<ApiRegistryOptions> = {
  ...NETWORK_NAMES,
  tls: { ca: true, extraCa: true, cert: true, key: true, skipVerify: true },
  hostsDir: true,
};

export const TRANSFER_NAMES: OptionNames<ApiTransferOptions> = {
  ...REGISTRY_NAMES,
  ...GATE_NAMES,
  store: true,
  platforms: true,
  signatures: true,
  labels: true,
  allMetadata: true,
  forCri: true,
  pin: true,
  maxConcurrentDownloads: true,
  force: true,
  keepPartial: true,
  foreignUrls: true,
};

const FETCH_NAMES: OptionNames<ApiFetchOptions> = { ...TRANSFER_NAMES, metadataOnly: true };
export const PULL_NAMES: OptionNames<ApiPullOptions> = {
  ...TRANSFER_NAMES,
  ...SNAPSHOT_NAMES,
  snapshotter: true,
};

/**
 * Fetches an image's content and records it; nothing is unpacked. `reference`: `alpine`, `host:5000/repository:tag`,
 * `repository@sha256:...`; or an image of a layout that is read in place of a registry: `oci:DIR`, `oci:DIR:NAME`,
 * `oci-archive:FILE:NAME`, `docker-archive:FILE:NAME`, `dir:DIR`. What is in the
 * store is not fetched again, and an interrupted fetch is continued by the next one.
 *
 * Errors: InvalidArgument, NotFound (the image, or a platform), Unauthenticated, PermissionDenied, Unavailable, DeadlineExceeded,
 * DataLoss (the registry sends other bytes than it names), ResourceExhausted (the disk, a limit), FailedPrecondition, Canceled.
 */
export async function fetch(reference: string, options: ApiFetchOptions = {}): Promise<FetchResult> {
  return await called(FETCH_NAMES, options, async (options) => {
    const { metadataOnly } = options;
    return await withDeps(reference, options, (deps, common) =>
      fetchImage(deps, { ...common, metadataOnly }),
    );
  });
}

/**
 * Fetches an image, unpacks it into snapshots and records it, once everything is durable. Errors are those of `fetch`; and
 * FailedPrecondition where no snapshots can be made, as without root.
 *
 * ```ts
 * const { unpacked } = await pull('alpine:3.20', { store, onProgress: (event) => console.log(event.type) });
 * ```
 */
export async function pull(reference: string, options: ApiPullOptions = {}): Promise<PullResult> {
  return await called(PULL_NAMES, options, async (options) => {
    const { snapshotter } = options;
    const layerSettings = settingsOf(options);
    return await withDeps(reference, options, (deps, common) =>
      pullImage(deps, { ...common, snapshotter, layerSettings }),
    );
  });
}

/** Runs `work` with a store, and a registry for the reference. */
export async function withDeps<T>(
  text: string,
  options: ApiTransferOptions,
  work: (deps: TransferDeps, options: FetchOptions) => Promise<T>,
): Promise<T> {
  if (!isLayoutSource(text)) parseReference(text);
  checkDurations(options);
  return await canceling(options.signal, (signal) => inStore(text, { ...options, signal }, work));
}

async function inStore<T>(
  source: string,
  options: ApiTransferOptions,
  work: (deps: TransferDeps, options: FetchOptions) => Promise<T>,
): Promise<T> {
  if (options.store !== undefined) return await withStore(options.store, source, options, work);
  const { signal, onProgress } = options;
  const store = await openStore({ signal, onProgress });
  return await cleaningUp(
    () => withStore(store, source, options, work),
    () => store[Symbol.asyncDispose](),
    (failure) => onProgress?.({ type: 'warning', message: messageOf(failure) }),
  );
}

async function withStore<T>(
  store: AnyStore,
  source: string,
  options: ApiTransferOptions,
  work: (deps: TransferDeps, options: FetchOptions) => Promise<T>,
): Promise<T> {
  const { backend, runtime } = partsOf(store);
  const reference = await referenceOf(runtime, source, options);
  const registry = withLayouts(registryOf(runtime, reference, options), runtime);
  const host = defaultPlatform(backend, runtime.host);
  const deps = {
    backend,
    registry,
    clock: runtime.clock,
    hashers: runtime.hashers,
    codecs: runtime.codecs,
    hostPlatform: host,
    cpus: runtime.host.cpus,
  };
  return await cleaningUp(
    () => work(deps, fetchOptions(runtime, reference, options, host)),
    () => registry[Symbol.asyncDispose](),
  );
}

/** A client that asks as the machine and the options say. */
export function registryOf(
  runtime: Runtime,
  { host: own }: Pick<Reference, 'host'>,
  options: ApiRegistryOptions & Pick<ApiTransferOptions, 'foreignUrls'>,
): Registry {
  const { credentials, plainHttp, tls, hostsDir, observe } = options;
  const warn = (message: string): void => observe?.({ type: 'warning', message });
  const given: Credentials = async (host) => (host === own ? credentials : undefined);
  const settings = { hostsDir, plainHttp, tls, credentials: given, warn };
  return openRegistry(
    { transports: runtime.transports, clock: runtime.clock },
    {
      ...environmentOptions(runtime, settings),
      ...clientOptions(options),
      foreignUrls: options.foreignUrls,
    },
  );
}

function fetchOptions(
  runtime: Runtime,
  reference: Reference,
  options: ApiTransferOptions,
  host: Platform,
): FetchOptions {
  return {
    reference,
    platforms: platformsOf(options.platforms, host),
    labels: options.labels,
    allMetadata: options.allMetadata,
    ...apiGate(runtime, options),
    signatures: options.signatures,
    forCri: options.forCri,
    pin: options.pin,
    maxConcurrentDownloads: options.maxConcurrentDownloads,
    force: options.force,
    keepPartial: options.keepPartial,
    retry: options.retry,
    ...(options.limitRate === undefined ? {} : { split: { lanes: 1 } }),
    report: options.onProgress,
    signal: options.signal,
  };
}

/** Platforms out of texts. InvalidArgument for an empty list. `Words`: what may stand in the place of a list. */
export function platformsOf<Words extends 'all' = never>(
  texts: readonly string[] | Words | undefined,
  host: Platform,
): readonly Platform[] | Words | undefined {
  if (texts === undefined || texts === 'all') return texts;
  if (typeof texts === 'string')
    throw new HawserError('InvalidArgument', `Cannot use platforms: ${JSON.stringify(texts)} is no list`, {
      hint: `Write platforms: [${JSON.stringify(texts)}]`,
    });
  checkRestriction('platforms', texts);
  return texts.map((text) => parsePlatform(text, host));
}
