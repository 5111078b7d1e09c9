/** Writes an archive as `docker save` did before layouts: one platform of each image, its config and layers, no manifest. */
import type { Provider } from '../content/content-store.ts';
import { wrap } from '../errors.ts';
import { readCompression } from '../layers/layer-state.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { hexOf } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Codecs } from '../ports/codecs.ts';
import type { DockerEntry } from './docker-manifest.ts';
import type { LayoutSink } from './sink.ts';

interface DockerWriter {
  readonly content: Provider;
  readonly codecs: Codecs;
}

interface LayerFile {
  readonly layer: Descriptor;
  readonly name: string;
  readonly size: number;
  /** Its readers are older than zstd. */
  readonly expands: boolean;
}

/** manifest.json first, then configs, then layers, each once. gzip and plain layers are as they are, zstd layers are expanded. */
export async function writeDockerArchive(
  deps: DockerWriter,
  sink: LayoutSink,
  entries: readonly DockerEntry[],
  call: Call,
): Promise<void> {
  const files = new Map<string, LayerFile>();
  for (const layer of entries.flatMap(({ layers }) => layers))
    if (!files.has(layer.digest)) files.set(layer.digest, await layerFile(deps, layer, call));
  const list = entries.map(({ config, layers, tags }) => ({
    Config: configName(config),
    RepoTags: tags,
    Layers: layers.map(({ digest }) => files.get(digest)?.name),
  }));
  const bytes = new TextEncoder().encode(JSON.stringify(list));
  await sink.file('manifest.json', bytes.length, one(bytes), call);
  const configs = new Map(entries.map(({ config }) => [config.digest, config]));
  for (const config of configs.values())
    await sink.file(configName(config), config.size, await deps.content.open(config.digest, call), call);
  for (const file of files.values()) {
    call.signal?.throwIfAborted();
    try {
      await sink.file(file.name, file.size, await opened(deps, file, call), call);
    } catch (err) {
      throw wrap(`Cannot carry ${file.layer.digest}`, err);
    }
  }
}

function configName({ digest }: Descriptor): string {
  return `${hexOf(digest)}.json`;
}

async function layerFile(deps: DockerWriter, layer: Descriptor, call: Call): Promise<LayerFile> {
  const compression = await readCompression(deps.content, layer.digest, call);
  const expands = compression === 'zstd';
  const name = `${hexOf(layer.digest)}.tar${compression === 'gzip' ? '.gz' : ''}`;
  const file = { layer, name, size: layer.size, expands };
  return expands ? { ...file, size: await sizeOf(await opened(deps, file, call)) } : file;
}

/** The header of an entry has the size, so that a layer is expanded once to be measured. */
async function sizeOf(stream: ReadableStream<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const piece of stream) size += piece.length;
  return size;
}

async function opened(
  { content, codecs }: DockerWriter,
  { layer, expands }: Pick<LayerFile, 'layer' | 'expands'>,
  call: Call,
): Promise<ReadableStream<Uint8Array>> {
  const stream = await content.open(layer.digest, call);
  return expands ? (await codecs.get('zstd')).decode(stream, call) : stream;
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
