/** An image of Docker's schema 1: its layers are fetched and read, and what it would be as an OCI image is stored. */
import { Limiter } from '../async/limiter.ts';
import { allOrAbort } from '../async/settle.ts';
import type { InfoProvider } from '../content/content-store.ts';
import { writeBlob } from '../content/write.ts';
import { fetchBlob } from '../download/fetch-blob.ts';
import { fetchSchema1 } from '../download/schema1-manifest.ts';
import { ifFound, wrap } from '../errors.ts';
import { UNCOMPRESSED_LABEL } from '../images/gc-labels.ts';
import { type Converted, convert, EMPTY_LAYER_LABEL, type LayerState } from '../images/schema1.ts';
import { type LayerFacts, readCompression, readLayerFacts } from '../layers/layer-state.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { DOCKER_LAYER, DOCKER_LAYER_GZIP, DOCKER_LAYER_ZSTD } from '../oci/media-types.ts';
import { parseSchema1, type Schema1 } from '../oci/schema1.ts';
import type { Call } from '../ports/call.ts';
import type { TransferDeps } from './fetch.ts';
import type { FetchOptions } from './options.ts';

/** Layers fetched and read at once, unless the user says otherwise. */
const CONCURRENCY = 6;
const LAYER_TYPES = { gzip: DOCKER_LAYER_GZIP, zstd: DOCKER_LAYER_ZSTD, identity: DOCKER_LAYER } as const;

type Job = { readonly lease: string; readonly signal: AbortSignal };

/**
 * The OCI image that stands for `root` (containerd 1.6's conversion, same digests): config, manifest and layers are in
 * the store and leased. The manifest as the registry has it is not stored. DataLoss when its digest is not `root`'s.
 */
export async function convertSchema1(
  deps: TransferDeps,
  options: FetchOptions,
  root: Descriptor,
  job: Job,
): Promise<Converted> {
  const schema1 = await readManifest(deps, options, root, job.signal);
  const sums = new Set(schema1.layers.filter((layer) => !layer.knownEmpty).map(({ blobSum }) => blobSum));
  const limiter = new Limiter(options.maxConcurrentDownloads || CONCURRENCY);
  const states = new Map<Digest, LayerState>();
  await allOrAbort([...sums], job.signal, (blobSum, signal) =>
    limiter.run(signal, async () => {
      states.set(blobSum, await layerState(deps, options, blobSum, { ...job, signal }));
    }),
  );
  const made = convert(schema1, (blobSum) => states.get(blobSum) ?? { empty: true }, deps.hashers);
  await writeBlob(deps.backend.content, made.config, made.configBytes, job);
  await writeBlob(deps.backend.content, made.manifest, made.manifestBytes, job);
  options.report?.({
    type: 'warning',
    message: `${root.digest} has Docker's old manifest format (schema 1): it is stored as the OCI image ${made.manifest.digest}`,
  });
  return made;
}

async function readManifest(
  deps: TransferDeps,
  options: FetchOptions,
  root: Descriptor,
  signal: AbortSignal,
): Promise<Schema1> {
  try {
    const fetcher = deps.registry.fetcher(options.reference);
    return parseSchema1(
      await fetchSchema1({ fetcher, hashers: deps.hashers }, root, { signal }),
      root.digest,
    );
  } catch (err) {
    throw wrap(`Cannot convert schema 1 manifest ${root.digest}`, err);
  }
}

/** Fetches the blob unless it is here; what it is, is kept as labels, so that it is read once only. */
async function layerState(
  deps: TransferDeps,
  options: FetchOptions,
  blobSum: Digest,
  job: Job,
): Promise<LayerState> {
  const { registry, clock } = deps;
  const { content } = deps.backend;
  const { reference, report = () => {} } = options;
  const size = (await sizeHere(content, blobSum, job)) ?? (await sizeThere(deps, options, blobSum, job));
  const desc = { mediaType: DOCKER_LAYER_GZIP, digest: blobSum, size };
  await fetchBlob({ content, fetcher: registry.fetcher(reference), clock, report }, desc, job);
  const facts = await layerFacts(deps, blobSum, job);
  if (facts.empty) return { empty: true };
  return { empty: false, desc: { ...desc, mediaType: LAYER_TYPES[facts.compression] }, diffId: facts.diffId };
}

async function sizeHere(content: InfoProvider, digest: Digest, call: Call): Promise<number | undefined> {
  return (await ifFound(content.info(digest, call)))?.size;
}

/** Schema 1 does not tell sizes. */
async function sizeThere(
  deps: TransferDeps,
  options: FetchOptions,
  digest: Digest,
  call: Call,
): Promise<number> {
  const { root } = await deps.registry.resolve({ ...options.reference, tag: undefined, digest }, call);
  return root.size;
}

async function layerFacts(
  { backend, codecs, hashers }: TransferDeps,
  digest: Digest,
  call: Call,
): Promise<LayerFacts> {
  const { content } = backend;
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
