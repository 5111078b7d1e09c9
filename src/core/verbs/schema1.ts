/** An image of Docker's schema 1: its layers are fetched and read, and what it would be as an OCI image is stored. */
import { Limiter } from '../async/limiter.ts';
import { allOrAbort } from '../async/settle.ts';
import { type Anew, withSoundBlob } from '../content/heal.ts';
import { writeBlob } from '../content/write.ts';
import { fetchSchema1 } from '../download/schema1-manifest.ts';
import { ifFound, wrap } from '../errors.ts';
import { UNCOMPRESSED_LABEL } from '../images/gc-labels.ts';
import { type Converted, convert, EMPTY_LAYER_LABEL, type LayerState } from '../images/schema1.ts';
import { type LayerFacts, readCompression, readLayerFacts } from '../layers/layer-state.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { DOCKER_LAYER, DOCKER_LAYER_GZIP } from '../oci/media-types.ts';
import { parseSchema1, type Schema1 } from '../oci/schema1.ts';
import type { Compression } from '../ports/codecs.ts';
import type { SpaceCheck } from './forecast.ts';
import type { FetchJob } from './job.ts';

/** Layers fetched and read at once when the user does not say. */
const CONCURRENCY = 6;

/** How the verb brings the layers. */
interface LayerSource {
  readonly beforeFetch: SpaceCheck;
  /** Does nothing when the store has the blob. */
  readonly bring: (desc: Descriptor, call: Anew) => Promise<unknown>;
}

/**
 * The OCI image that stands for `root` (containerd 1.6's conversion, same digests): config, manifest and layers are in
 * the store and leased. The manifest as the registry has it is not stored. DataLoss when its digest is not `root`'s.
 */
export async function convertSchema1(
  job: FetchJob,
  root: Descriptor,
  source: LayerSource,
): Promise<Converted> {
  const { deps, options, report } = job;
  const schema1 = await readManifest(job, root);
  const sums = new Set(schema1.layers.filter((layer) => !layer.knownEmpty).map(({ blobSum }) => blobSum));
  const limiter = new Limiter(options.maxConcurrentDownloads || CONCURRENCY);
  const states = new Map<Digest, LayerState>();
  await allOrAbort([...sums], job.signal, (blobSum, signal) =>
    limiter.run(signal, async () => {
      states.set(blobSum, await layerState({ ...job, signal }, blobSum, source));
    }),
  );
  const image = convert(schema1, (blobSum) => states.get(blobSum) ?? { empty: true }, deps.hashers);
  await writeBlob(deps.backend.content, image.config, image.configBytes, job);
  await writeBlob(deps.backend.content, image.manifest, image.manifestBytes, job);
  report({
    type: 'warning',
    message: `${root.digest} has Docker's old manifest format (schema 1): it is stored as the OCI image ${image.manifest.digest}`,
  });
  return image;
}

async function readManifest({ deps, options, signal, report }: FetchJob, root: Descriptor): Promise<Schema1> {
  try {
    const { registry, clock, hashers } = deps;
    const fetcher = registry.fetcher(options.reference);
    const { retry } = options;
    const bytes = await fetchSchema1({ fetcher, clock, hashers, report, retry }, root, { signal });
    return parseSchema1(bytes, root.digest);
  } catch (err) {
    throw wrap(`Cannot convert schema 1 manifest ${root.digest}`, err);
  }
}

/** Fetches the blob unless it is in the store. What the layer is gets kept as labels, so that the blob is read only once. */
async function layerState(
  job: FetchJob,
  blobSum: Digest,
  { beforeFetch, bring }: LayerSource,
): Promise<LayerState> {
  const { content } = job.deps.backend;
  const size = (await sizeInStore(job, blobSum)) ?? (await sizeInRegistry(job, blobSum));
  const desc = { mediaType: DOCKER_LAYER_GZIP, digest: blobSum, size };
  await beforeFetch([desc], job);
  await bring(desc, job);
  const warn = (message: string) => job.report({ type: 'warning', message });
  const healing = { content, refetch: bring, warn };
  const facts = await withSoundBlob(healing, desc, job, () => layerFacts(job, blobSum));
  if (facts.empty) return { empty: true };
  return { empty: false, desc: { ...desc, mediaType: layerType(facts.compression) }, diffId: facts.diffId };
}

function layerType(compression: Compression): string {
  return compression === 'identity' ? DOCKER_LAYER : `${DOCKER_LAYER}.${compression}`;
}

async function sizeInStore({ deps, signal }: FetchJob, digest: Digest): Promise<number | undefined> {
  return (await ifFound(deps.backend.content.info(digest, { signal })))?.size;
}

/** Asks the registry: a manifest of schema 1 has no sizes. */
async function sizeInRegistry({ deps, options, signal }: FetchJob, digest: Digest): Promise<number> {
  return (await deps.registry.find(options.reference, digest, { signal })).desc.size;
}

async function layerFacts({ deps, signal }: FetchJob, digest: Digest): Promise<LayerFacts> {
  const { backend, codecs, hashers } = deps;
  const { content } = backend;
  const call = { signal };
  const { labels } = await content.info(digest, call);
  const [diffId = '', empty] = [labels[UNCOMPRESSED_LABEL], labels[EMPTY_LAYER_LABEL]];
  if (isDigest(diffId) && (empty === 'true' || empty === 'false')) {
    return { compression: await readCompression(content, digest, call), diffId, empty: empty === 'true' };
  }
  const facts = await readLayerFacts({ content, codecs, hashers }, digest, call);
  const found = { [UNCOMPRESSED_LABEL]: facts.diffId, [EMPTY_LAYER_LABEL]: String(facts.empty) };
  await content.label(digest, found, call);
  return facts;
}
