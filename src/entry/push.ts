/** The library's verbs that send an image to a registry. */
import { canceling } from '../core/async/abort.ts';
import { cleaningUp } from '../core/async/cleanup.ts';
import { referenceOf } from '../core/carry/layout-source.ts';
import { withLayouts } from '../core/carry/with-layouts.ts';
import { HawserError } from '../core/errors.ts';
import { defaultPlatform, hostPlatform } from '../core/platforms/host.ts';
import { parseReference } from '../core/reference/parse.ts';
import { copy as copyImage, isOneRegistry } from '../core/verbs/copy.ts';
import { type PushResult, push as pushImage } from '../core/verbs/push.ts';
import { type ApiRegistryOptions, platformsOf, REGISTRY_NAMES, registryOf } from './api.ts';
import { called, type OptionNames } from './called.ts';
import { type ApiGateOptions, apiGate, GATE_NAMES } from './gate.ts';
import { defaultRuntime } from './library.ts';
import { checkDurations } from './network-options.ts';
import { type AnyStore, partsOf } from './stores.ts';

/** What `push` and `copy` take: how registries are asked as for `pull`. */
export interface ApiSendOptions extends ApiRegistryOptions {
  /** `linux/arm64`; `'all'`: fails where one is not there. Default: of a push every one that is here as a whole, of a copy all. */
  readonly platforms?: readonly string[] | 'all' | undefined;
  /**
   * Of an index that lists more than is pushed: its bytes and digest (`keep`), the one manifest (`flat`), or an index of what is pushed,
   * under another digest (`rewrite`). Default: `keep`; `flat` with one platform.
   */
  readonly index?: 'keep' | 'flat' | 'rewrite' | undefined;
  /** Pushes what is here and refers to the image: signatures, SBOMs. */
  readonly referrers?: boolean | undefined;
  /** Pushes layers, too, that are not to be distributed. */
  readonly foreign?: boolean | undefined;
  /** Bytes of the parts that blobs are sent in. Default: in one request, and in parts after a lost connection. */
  readonly chunkSize?: number | undefined;
  /** Blobs sent at once. 0 or not given: 6. */
  readonly maxConcurrentUploads?: number | undefined;
}

/** What `copy` takes. */
export interface ApiCopyOptions extends ApiSendOptions, ApiGateOptions {}

/** What `push` takes. */
export interface ApiPushOptions extends ApiSendOptions {
  /** Has the image. */
  readonly store: AnyStore;
  /** The image's name at the registry. Default: its name in the store. */
  readonly to?: string | undefined;
}

const SEND_NAMES: OptionNames<ApiSendOptions> = {
  ...REGISTRY_NAMES,
  platforms: true,
  index: true,
  referrers: true,
  foreign: true,
  chunkSize: true,
  maxConcurrentUploads: true,
};
const COPY_NAMES: OptionNames<ApiCopyOptions> = { ...SEND_NAMES, ...GATE_NAMES };
const PUSH_NAMES: OptionNames<ApiPushOptions> = { ...SEND_NAMES, store: true, to: true };

/**
 * Copies an image from a registry, or out of a layout (`oci:DIR[:NAME]`, `oci-archive:FILE[:NAME]`, `docker-archive:FILE[:NAME]`, `dir:DIR`),
 * to a registry, through no store. All platforms go along unless some are named. Every byte is verified on its way; within one registry blobs are mounted. `credentials`,
 * `plainHttp` and `tls` are for the registry of `to`. `verify` judges the image of the source. Errors are those of `push`, and of `fetch`.
 *
 * ```ts
 * await copy('ghcr.io/org/app:1.2', 'registry.example/app:1.2');
 * ```
 */
export async function copy(source: string, to: string, options: ApiCopyOptions = {}): Promise<PushResult> {
  return await called(COPY_NAMES, options, async (options) => {
    const { platforms, onProgress: report, verify, requireSigned, verifiers, ...rest } = options;
    checkNumbers(options);
    const target = parseReference(to);
    const runtime = await defaultRuntime();
    const { clock, hashers, host, workers } = runtime;
    const work = async (signal: AbortSignal | undefined): Promise<PushResult> => {
      const from = await referenceOf(runtime, source, { signal });
      const registry = registryOf(runtime, target, options);
      const other = { ...options, credentials: undefined, plainHttp: undefined, tls: undefined };
      const reads = isOneRegistry(from, target)
        ? registry
        : withLayouts(registryOf(runtime, from, other), runtime);
      const wanted = platformsOf(platforms, hostPlatform(host));
      const gate = apiGate(runtime, { verify, requireSigned, verifiers });
      const what = { ...rest, ...gate, from, to: target, platforms: wanted, report, signal };
      return await cleaningUp(
        () => copyImage({ source: reads, registry, clock, hashers }, what),
        async () => {
          await registry[Symbol.asyncDispose]();
          if (reads !== registry) await reads[Symbol.asyncDispose]();
        },
      );
    };
    return await cleaningUp(
      () => canceling(options.signal, work),
      () => workers[Symbol.asyncDispose](),
    );
  });
}

/**
 * Pushes an image of the store, by its name. What the registry has is not sent again, another repository of the registry lends its layers, and
 * the tag moves last. Every blob is hashed while it is sent: no registry gets the whole of one that has rotted.
 *
 * Errors: NotFound (the image, or a platform, is not here), DataLoss (a blob has rotted, or the registry stores other bytes),
 * Unauthenticated, PermissionDenied, Unavailable, DeadlineExceeded, FailedPrecondition (what the registry refuses), Canceled.
 *
 * ```ts
 * await push('alpine:3.20', { store, to: 'registry.example/base/alpine:3.20' });
 * ```
 */
export async function push(reference: string, options: ApiPushOptions): Promise<PushResult> {
  return await called(PUSH_NAMES, options, async (options) => {
    const { store, to: target = reference, platforms, onProgress, ...rest } = options;
    checkNumbers(options);
    const { backend, runtime } = partsOf(store);
    const [local, to] = [parseReference(reference), parseReference(target)];
    const { clock, hashers, codecs, host } = runtime;
    const platform = defaultPlatform(backend, host);
    const wanted = platformsOf(platforms, platform);
    return await canceling(options.signal, async (signal) => {
      const image = await store.images.get(local.name, { signal });
      const registry = registryOf(runtime, to, options);
      const deps = { backend, registry, clock, hashers, codecs, hostPlatform: platform, cpus: host.cpus };
      return await cleaningUp(
        () => pushImage(deps, { ...rest, image, to, platforms: wanted, report: onProgress, signal }),
        () => registry[Symbol.asyncDispose](),
      );
    });
  });
}

/** InvalidArgument. */
function checkNumbers(options: ApiSendOptions): void {
  checkDurations(options);
  const { chunkSize = 1, maxConcurrentUploads = 0 } = options;
  for (const [name, value, least] of [
    ['chunkSize', chunkSize, 1],
    ['maxConcurrentUploads', maxConcurrentUploads, 0],
  ] as const)
    if (!Number.isSafeInteger(value) || value < least)
      throw new HawserError(
        'InvalidArgument',
        `Cannot use ${name}: ${value} is no whole number from ${least} on`,
      );
}
