/** The registry that everything is pulled from: docker-registry on loopback, its storage kept beside the images. */
import { execFileSync } from 'node:child_process';
import { type RealRegistry, startDockerRegistry } from '../../test/support/real-registry.ts';
import type { Described } from '../fixtures/layout.ts';

export interface BenchRegistry extends AsyncDisposable {
  readonly host: string;
  /** `127.0.0.1:5000/bench/app:1`. */
  reference(image: string): string;
  blobUrl(image: string, digest: string): string;
  /** The image's layers, as its manifest lists them. */
  layers(image: string): Promise<readonly Described[]>;
  /** Bytes of all bodies that were sent so far. */
  sent(): number;
}

/**
 * Serves images of an OCI layout; what is not in the registry yet is pushed first. All is in the page cache afterwards. `counted`: the
 * registry keeps an access log, for `sent`.
 */
export async function startBenchRegistry(
  layout: string,
  images: readonly string[],
  counted = false,
): Promise<BenchRegistry> {
  const storage = `${layout}.registry`;
  let sent = 0;
  const registry = await startDockerRegistry(
    storage,
    counted
      ? (bytes) => {
          sent += bytes;
        }
      : undefined,
  );
  const url = (image: string, rest: string) => `http://${registry.host}/v2/bench/${image}/${rest}`;
  const manifest = (image: string) =>
    fetch(url(image, 'manifests/1'), { headers: { accept: 'application/vnd.oci.image.manifest.v1+json' } });
  try {
    for (const image of images) await pushMissing(registry, layout, image, manifest);
  } catch (err) {
    await registry.close();
    throw err;
  }
  warm(storage);
  return {
    host: registry.host,
    reference: (image) => `${registry.host}/bench/${image}:1`,
    blobUrl: (image, digest) => url(image, `blobs/${digest}`),
    layers: async (image) => ((await (await manifest(image)).json()) as { layers: Described[] }).layers,
    sent: () => sent,
    [Symbol.asyncDispose]: () => registry.close(),
  };
}

async function pushMissing(
  registry: RealRegistry,
  layout: string,
  image: string,
  manifest: (image: string) => Promise<Response>,
): Promise<void> {
  const response = await manifest(image);
  await response.arrayBuffer();
  if (!response.ok) await registry.push(`${layout}:${image}`, `bench/${image}:1`);
}

/** Reads every blob once, so that no measurement pays for the disk behind the registry. */
function warm(storage: string): void {
  execFileSync('sh', ['-c', 'find "$1" -type f -name data -exec cat {} + > /dev/null', 'sh', storage]);
}
