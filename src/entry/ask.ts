/** The library's questions: what a reference names, what a registry lists. Nothing is stored. */
import type { Descriptor } from '../core/oci/descriptor.ts';
import type { Referrers } from '../core/registry/registry.ts';
import { type ApiRegistryOptions, REGISTRY_NAMES } from './api.ts';
import { type ApiAskOptions, ASK_NAMES, withAsking, withHost } from './asking.ts';
import { called, type OptionNames } from './called.ts';
import { type ConfigDocument, configOf, descriptorOf, documentOf, type ImageDocument } from './questions.ts';

/** What `resolve`, `manifest` and `config` take. */
export interface ApiDocumentOptions extends ApiAskOptions {
  /** `linux/arm64`: of an index, the image that a pull of this platform would take. Default: the index; of a config, the host's. */
  readonly platform?: string | undefined;
}

/** What `referrers` takes. */
export interface ApiReferrersOptions extends ApiRegistryOptions {
  /** Only those of this type: `application/spdx+json`. */
  readonly artifactType?: string | undefined;
}

const DOCUMENT_NAMES: OptionNames<ApiDocumentOptions> = { ...ASK_NAMES, platform: true };
const REFERRERS_NAMES: OptionNames<ApiReferrersOptions> = { ...REGISTRY_NAMES, artifactType: true };

/**
 * What a reference names now: the digest, with type and size as the registry says them. `reference` as for `fetch`.
 *
 * Errors: InvalidArgument, NotFound (the image, or the platform), Unauthenticated, PermissionDenied, Unavailable, DeadlineExceeded, Canceled.
 *
 * ```ts
 * const { digest } = await resolve('alpine:3.20', { platform: 'linux/arm64' });
 * ```
 */
export async function resolve(reference: string, options: ApiDocumentOptions = {}): Promise<Descriptor> {
  return await called(DOCUMENT_NAMES, options, async (options) => {
    return await withAsking(reference, options, (asking, call) =>
      descriptorOf(asking, options.platform, call),
    );
  });
}

/**
 * The manifest or index that a reference names, verified: its bytes, and what they say. With `platform` the manifest for it.
 *
 * Errors are those of `resolve`; DataLoss for other bytes than the digest's, ResourceExhausted for more than 8 MiB, InvalidArgument for what
 * is no manifest.
 *
 * ```ts
 * const found = await manifest('alpine:3.20', { platform: 'linux/amd64' });
 * if (found.type === 'manifest') console.log(found.layers.map((layer) => layer.size));
 * ```
 */
export async function manifest(reference: string, options: ApiDocumentOptions = {}): Promise<ImageDocument> {
  return await called(DOCUMENT_NAMES, options, async (options) => {
    return await withAsking(reference, options, (asking, call) => documentOf(asking, options.platform, call));
  });
}

/**
 * The config of an image, verified: its bytes, and what they say. Of an index that of the image for `platform`.
 *
 * Errors are those of `manifest`; NotImplemented for an image of schema 1, which has no config.
 *
 * ```ts
 * const { config: { Entrypoint, Env } } = await config('alpine:3.20');
 * ```
 */
export async function config(reference: string, options: ApiDocumentOptions = {}): Promise<ConfigDocument> {
  return await called(DOCUMENT_NAMES, options, async (options) => {
    return await withAsking(reference, options, (asking, call) => configOf(asking, options.platform, call));
  });
}

/**
 * The tags of the reference's repository, in the registry's order, each once; a tag or digest of the reference is ignored. The registry
 * itself is asked, and no mirror. Errors are those of `resolve`; ResourceExhausted for more tags than a list may have.
 *
 * ```ts
 * for (const tag of await tags('ghcr.io/org/app')) console.log(tag);
 * ```
 */
export async function tags(reference: string, options: ApiRegistryOptions = {}): Promise<readonly string[]> {
  return await called(REGISTRY_NAMES, options, async (options) => {
    return await withAsking(reference, options, ({ registry, reference: asked }, call) =>
      registry.tags(asked, call),
    );
  });
}

/** The repositories of a registry, as `tags`. `host`: `registry.example:5000`. Many registries list none. */
export async function catalog(host: string, options: ApiRegistryOptions = {}): Promise<readonly string[]> {
  return await called(REGISTRY_NAMES, options, async (options) => {
    return await withHost(host, options, (registry, asked, call) => registry.catalog(asked, call));
  });
}

/**
 * What refers to a manifest: signatures, SBOMs, attestations. By the referrers API, else by the tag under which those who push keep the list;
 * types, sizes and annotations are what the list says. Errors are those of `resolve`.
 *
 * ```ts
 * const { referrers: boms } = await referrers('ghcr.io/org/app:1.2', { artifactType: 'application/spdx+json' });
 * ```
 */
export async function referrers(reference: string, options: ApiReferrersOptions = {}): Promise<Referrers> {
  return await called(REFERRERS_NAMES, options, async (options) => {
    const { artifactType } = options;
    return await withAsking(reference, options, ({ registry, reference: asked }, { signal }) =>
      registry.referrers(asked, { artifactType, signal }),
    );
  });
}
