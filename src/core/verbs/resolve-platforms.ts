/** The manifests of wanted platforms, read from the registry; nothing is stored. */
import type { InfoProvider, Provider } from '../content/content-store.ts';
import type { StreamDeps } from '../download/stream-blob.ts';
import { HawserError } from '../errors.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { isIndexType, isSchema1Type } from '../oci/media-types.ts';
import { platformText } from '../platforms/format.ts';
import type { Call } from '../ports/call.ts';
import type { Reference } from '../reference/reference.ts';
import type { Registry } from '../registry/registry.ts';
import { noMatch } from './no-match.ts';
import { PlanStore } from './plan-store.ts';
import { type WalkOptions, walkImage } from './walk.ts';

export interface PlatformManifest {
  /** As it was asked for. */
  readonly platform: string;
  readonly desc: Descriptor;
}

export interface PlatformManifests {
  readonly root: Descriptor;
  /** One for each wanted platform, in their order. */
  readonly manifests: readonly PlatformManifest[];
}

export interface ResolveDeps extends Omit<StreamDeps, 'fetcher' | 'split'> {
  readonly registry: Registry;
}

/**
 * What a pull of `platforms` would take. A root that is no index is the answer itself: an image when it is for one of them, an artifact
 * in any case. NotFound that names the platforms that there are; NotImplemented for schema 1.
 */
export async function resolvePlatforms(
  deps: ResolveDeps,
  reference: Reference,
  platforms: readonly Platform[],
  call: Call,
): Promise<PlatformManifests> {
  const { signal = new AbortController().signal } = call;
  const { root } = await deps.registry.resolve(reference, { signal, read: true });
  if (isSchema1Type(root.mediaType)) {
    throw new HawserError(
      'NotImplemented',
      `Cannot tell the platform of ${reference.name}: it is of schema 1`,
      {
        hint: 'Leave --platform away: an image of that age is for one platform',
      },
    );
  }
  const store = new PlanStore(NOTHING, { ...deps, fetcher: deps.registry.fetcher(reference) });
  const chosen = new Map<string | undefined, Descriptor>();
  const walkDeps = { content: store, bring: store.bring, document: store.document, report: () => {} };
  await walkImage(walkDeps, root, optionsOf(reference, platforms), {
    signal,
    onManifest: (manifest, _, platform) => chosen.set(platform, manifest),
  });
  const manifests = platforms.map((wanted) => {
    const platform = platformText(wanted);
    const desc = isIndexType(root.mediaType) ? chosen.get(platform) : root;
    if (desc === undefined) throw noMatch(reference, [wanted], []);
    return { platform, desc };
  });
  return { root, manifests };
}

function optionsOf(reference: Reference, platforms: readonly Platform[]): WalkOptions {
  const options = { allMetadata: false, metadataOnly: false, concurrency: 0, generated: new Set<string>() };
  return { reference, platforms, named: true, ...options };
}

const absent = async (digest: string): Promise<never> => {
  throw new HawserError('NotFound', `content ${digest}: not found`);
};

/** A store of nothing. */
const NOTHING: InfoProvider & Provider = { info: absent, open: absent };
