/** The verbs of `hawser/web`: what can be asked and read of images with Web APIs alone. */
import { canceling, cancelSignal } from '../core/async/abort.ts';
import { closingStream } from '../core/async/byte-stream.ts';
import { cleanedUp, cleaningUp } from '../core/async/cleanup.ts';
import { endingIteration } from '../core/async/iteration.ts';
import type { LayerSettings } from '../core/layers/layer-settings.ts';
import type { Descriptor, Platform } from '../core/oci/descriptor.ts';
import { type Digest, digestBytes, isDigest } from '../core/oci/digest.ts';
import type { Call } from '../core/ports/call.ts';
import type { HashName } from '../core/ports/hashers.ts';
import { parseHost, parseReference } from '../core/reference/parse.ts';
import { openRegistry } from '../core/registry/open.ts';
import type { Referrers, Registry } from '../core/registry/registry.ts';
import { openRemote } from '../core/verbs/files.ts';
import { createClock } from '../platform/process/clock.ts';
import { webCodecs } from '../platform/web/codecs.ts';
import { webHashers } from '../platform/web/hashers.ts';
import { webTransports } from '../platform/web/transport.ts';
import { called, checkNames, LAYER_NAMES, type OptionNames, spelled } from './called.ts';
import { fileOf, type ImageFile, imageFiles } from './image-file.ts';
import { type ApiNetworkOptions, checkDurations, clientOptions, NETWORK_NAMES } from './network-options.ts';
import { spelledOptions } from './option-hints.ts';
import {
  type Asking,
  asked,
  blobOf,
  type ConfigDocument,
  configOf,
  descriptorOf,
  documentOf,
  type ImageDocument,
} from './questions.ts';

/** What `resolve`, `manifest` and `config` take. */
export interface WebDocumentOptions extends ApiNetworkOptions {
  /** `linux/arm64`: of an index, the image for this platform. Default: the index; of a config, `linux/amd64`. */
  readonly platform?: string | undefined;
}

/** What `open` takes. */
export interface WebOpenOptions extends ApiNetworkOptions, Pick<LayerSettings, 'limits'> {
  /** Default: `linux/amd64`, as Web APIs tell no machine. */
  readonly platform?: string | undefined;
}

/** What `files` takes. */
export interface WebFilesOptions extends WebOpenOptions {
  /** A directory or a file of the image. Default: `/`. */
  readonly path?: string | undefined;
}

/** What `referrers` takes. */
export interface WebReferrersOptions extends ApiNetworkOptions {
  /** Only those of this type: `application/spdx+json`. */
  readonly artifactType?: string | undefined;
}

const DOCUMENT_NAMES: OptionNames<WebDocumentOptions> = { ...NETWORK_NAMES, platform: true };
const OPEN_NAMES: OptionNames<WebOpenOptions> = { ...DOCUMENT_NAMES, limits: LAYER_NAMES.limits };
const FILES_NAMES: OptionNames<WebFilesOptions> = { ...OPEN_NAMES, path: true };
const REFERRERS_NAMES: OptionNames<WebReferrersOptions> = { ...NETWORK_NAMES, artifactType: true };

const PLATFORM: Platform = { os: 'linux', architecture: 'amd64' };
const hashers = webHashers();
const codecs = webCodecs();
const clock = createClock();

function clientFor(own: string, options: ApiNetworkOptions): Registry {
  const { credentials, plainHttp } = options;
  const given = async (host: string) => (host === own ? credentials : undefined);
  return openRegistry(
    { transports: webTransports(), clock },
    { ...clientOptions(options), plainHttp, credentials: given },
  );
}

function openAsking(text: string, options: ApiNetworkOptions): Asking {
  const { onProgress: report = () => {}, retry, limitRate } = options;
  const reference = parseReference(text);
  const registry = clientFor(reference.host, options);
  const split = limitRate === undefined ? undefined : { lanes: 1 };
  return { registry, reference, clock, hashers, codecs, report, retry, split, hostPlatform: PLATFORM };
}

async function withAsking<T>(
  text: string,
  options: ApiNetworkOptions,
  work: (asking: Asking, call: Call) => Promise<T>,
): Promise<T> {
  checkDurations(options);
  return await canceling(options.signal, async (signal) => {
    const asking = openAsking(text, options);
    return await cleaningUp(
      () => work(asking, { signal }),
      async () => await asking.registry[Symbol.asyncDispose](),
    );
  });
}

/**
 * What a reference names now: the digest, with type and size as the registry says them. `reference`: `alpine`,
 * `host:5000/repository:tag`, `repository@sha256:...`.
 *
 * Errors: InvalidArgument, NotFound (the image, or the platform), Unauthenticated, PermissionDenied, Unavailable, DeadlineExceeded, Canceled;
 * FailedPrecondition in a browser, where a registry redirects.
 */
export async function resolve(reference: string, options: WebDocumentOptions = {}): Promise<Descriptor> {
  return await called(DOCUMENT_NAMES, options, async (options) => {
    return await withAsking(reference, options, (asking, call) =>
      descriptorOf(asking, options.platform, call),
    );
  });
}

/**
 * The manifest or index that a reference names, verified: its bytes, and what they say. With `platform` the manifest for it. Errors are
 * those of `resolve`; DataLoss for other bytes than the digest's, ResourceExhausted for more than 8 MiB.
 */
export async function manifest(reference: string, options: WebDocumentOptions = {}): Promise<ImageDocument> {
  return await called(DOCUMENT_NAMES, options, async (options) => {
    return await withAsking(reference, options, (asking, call) => documentOf(asking, options.platform, call));
  });
}

/** The config of an image, verified: its bytes, and what they say. Errors are those of `manifest`; NotImplemented for schema 1. */
export async function config(reference: string, options: WebDocumentOptions = {}): Promise<ConfigDocument> {
  return await called(DOCUMENT_NAMES, options, async (options) => {
    return await withAsking(reference, options, (asking, call) => configOf(asking, options.platform, call));
  });
}

/** The tags of the reference's repository, in the registry's order, each once. Errors are those of `resolve`. */
export async function tags(reference: string, options: ApiNetworkOptions = {}): Promise<readonly string[]> {
  return await called(NETWORK_NAMES, options, async (options) => {
    return await withAsking(reference, options, ({ registry, reference: asked }, call) =>
      registry.tags(asked, call),
    );
  });
}

/** The repositories of a registry. `host`: `registry.example:5000`. Many registries list none. */
export async function catalog(text: string, options: ApiNetworkOptions = {}): Promise<readonly string[]> {
  return await called(NETWORK_NAMES, options, async (options) => {
    checkDurations(options);
    const host = parseHost(text);
    return await canceling(options.signal, async (signal) => {
      const registry = clientFor(host, options);
      return await cleaningUp(
        () => registry.catalog(host, { signal }),
        async () => await registry[Symbol.asyncDispose](),
      );
    });
  });
}

/** What refers to a manifest: signatures, SBOMs. Types, sizes and annotations are what the list says. Errors are those of `resolve`. */
export async function referrers(reference: string, options: WebReferrersOptions = {}): Promise<Referrers> {
  return await called(REFERRERS_NAMES, options, async (options) => {
    const { artifactType } = options;
    return await withAsking(reference, options, ({ registry, reference: asked }, { signal }) =>
      registry.referrers(asked, { artifactType, signal }),
    );
  });
}

/**
 * What is in an image at `path`, and (of a directory) all that is below: sorted, each directory before what is in it. All layers are read
 * before the first entry, and verified; memory is taken for names and attributes. Errors are those of `manifest`; NotFound without such
 * a path.
 *
 * ```ts
 * for await (const file of files('ghcr.io/org/app:1.2', { path: '/etc' })) console.log(file.path, file.size);
 * ```
 */
export function files(reference: string, options: WebFilesOptions = {}): AsyncGenerator<ImageFile> {
  return endingIteration(options.signal, (signal) =>
    spelled(filesOf(reference, spelledOptions({ ...options, signal }))),
  );
}

async function* filesOf(
  reference: string,
  options: WebFilesOptions & { readonly signal: AbortSignal },
): AsyncGenerator<ImageFile> {
  checkNames(FILES_NAMES, options);
  checkDurations(options);
  const { limits, path = '/', signal } = options;
  signal.throwIfAborted();
  const asking = openAsking(reference, options);
  const close = async (): Promise<void> => await asking.registry[Symbol.asyncDispose]();
  const opening = async () => {
    try {
      const wanted = { ...asked(asking, options.platform), settings: { limits } };
      return await openRemote(asking, asking.reference, wanted, { signal });
    } catch (err) {
      throw await cleanedUp(err, close);
    }
  };
  yield* imageFiles({ image: await opening(), close }, path, signal);
}

/**
 * The bytes of a file of an image, or of a blob of its repository: a digest names a blob, all else is a path, whose symlinks are followed
 * inside the image. No more layers are read than finding the file takes, from the top. Reading the stream to its end, or cancelling it, gives
 * back what it holds. What the stream gives of a file is verified; of a blob the end is the proof: DataLoss there, where the bytes are not
 * those of the digest.
 *
 * ```ts
 * const text = await new Response(await open('ghcr.io/org/app:1.2', '/etc/os-release')).text();
 * ```
 */
export async function open(
  reference: string,
  pathOrDigest: string,
  options: WebOpenOptions = {},
): Promise<ReadableStream<Uint8Array>> {
  return await called(OPEN_NAMES, options, async (options) => {
    checkDurations(options);
    const { limits } = options;
    const asking = openAsking(reference, options);
    const { signal, stop } = cancelSignal(options.signal);
    const close = async (): Promise<void> => {
      stop();
      await asking.registry[Symbol.asyncDispose]();
    };
    try {
      signal?.throwIfAborted();
      if (isDigest(pathOrDigest))
        return closingStream(await blobOf(asking, pathOrDigest, { signal }), close, signal);
      const wanted = { ...asked(asking, options.platform), settings: { limits } };
      const image = await openRemote(asking, asking.reference, wanted, { signal });
      return closingStream(await fileOf(image, pathOrDigest, { signal }), close, signal);
    } catch (err) {
      throw await cleanedUp(err, close);
    }
  });
}

/** The digest of bytes. */
export function digestOf(bytes: Uint8Array, algorithm: HashName = 'sha256'): Digest {
  return digestBytes(bytes, hashers, algorithm);
}
