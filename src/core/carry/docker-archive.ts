/**
 * Reads archives of `docker save`: a config and layers, and no manifest. hawser makes the same manifest as containerd's importer, so
 * that nodes agree, but gives a zstd layer the media type of zstd. No registry has this manifest.
 */
import { cleanedUp } from '../async/cleanup.ts';
import { toHex, visible } from '../bytes.ts';
import { DETECT_LENGTH, detectCompression } from '../codec/formats.ts';
import type { ContentStore } from '../content/content-store.ts';
import { writeBlob } from '../content/write.ts';
import { HawserError, ifFound } from '../errors.ts';
import { UNCOMPRESSED_LABEL } from '../images/gc-labels.ts';
import { readCompression, readLayerFacts } from '../layers/layer-state.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestBytes, isDigest } from '../oci/digest.ts';
import { type ImageConfig, MAX_CONFIG_BYTES, parseConfig } from '../oci/documents.ts';
import { arrayField, asObject, asString, at, misfit, stringField } from '../oci/fields.ts';
import { type Json, parseJson } from '../oci/json.ts';
import {
  DOCKER_CONFIG,
  DOCKER_LAYER,
  DOCKER_LAYER_GZIP,
  DOCKER_LAYER_ZSTD,
  DOCKER_MANIFEST,
} from '../oci/media-types.ts';
import type { WriteCall } from '../ports/call.ts';
import type { Codecs, Compression } from '../ports/codecs.ts';
import type { Hashers } from '../ports/hashers.ts';
import { readArchived } from './archive-blobs.ts';
import { MAX_INDEX_JSON } from './directory-sink.ts';
import type { ArchivedImage } from './import-names.ts';
import { type Archive, followed, type Member, memberName, readMember } from './members.ts';

export interface DockerDeps {
  readonly content: ContentStore;
  readonly codecs: Codecs;
  readonly hashers: Hashers;
  random(length: number): Uint8Array;
}

const MAX_IMAGES = 1000;
const MAX_LAYERS = 10_000;
const TYPES: Readonly<Record<Compression, string>> = {
  identity: DOCKER_LAYER,
  gzip: DOCKER_LAYER_GZIP,
  zstd: DOCKER_LAYER_ZSTD,
};

interface Entry {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

export interface DockerImages {
  readonly images: readonly ArchivedImage[];
  /** Digests of all that came out of the archive: no registry has them under these names. */
  readonly generated: ReadonlySet<string>;
}

/**
 * Takes the images into the store. `checks`: every layer is expanded to compare it with its diff ID, which unpacking would do
 * anyway. DataLoss where a layer is not the one that the config names.
 */
export async function takeDockerImages(
  deps: DockerDeps,
  archive: Archive,
  prefix: string,
  checks: boolean,
  call: WriteCall,
): Promise<DockerImages> {
  const bytes = await readArchived(archive, deps.content, `${prefix}manifest.json`, MAX_INDEX_JSON, call);
  const entries = parseEntries(bytes ?? new Uint8Array(0));
  const intake = new DockerIntake(deps, archive, prefix, checks, call);
  const images: ArchivedImage[] = [];
  for (const entry of entries) images.push({ target: await intake.take(entry), names: entry.tags });
  return { images, generated: intake.generated };
}

function parseEntries(bytes: Uint8Array): Entry[] {
  const list = parseJson(bytes, 'manifest.json');
  const where = 'manifest.json:';
  return (arrayField({ list }, 'list', where, MAX_IMAGES, parseEntry) ?? []).map((entry) => entry);
}

function parseEntry(value: Json, where: string): Entry {
  const from = asObject(value, where);
  const config = stringField(from, 'Config', where);
  if (config === undefined) throw misfit(at(where, 'Config'), 'must name a file');
  return {
    config,
    tags: arrayField(from, 'RepoTags', where, MAX_IMAGES, asString) ?? [],
    layers: arrayField(from, 'Layers', where, MAX_LAYERS, asString) ?? [],
  };
}

class DockerIntake {
  readonly generated = new Set<string>();
  readonly #deps: DockerDeps;
  readonly #archive: Archive;
  readonly #prefix: string;
  readonly #checks: boolean;
  readonly #call: WriteCall;
  readonly #id: string;
  /** By path: what images share is read once. */
  readonly #layers = new Map<string, Descriptor>();

  constructor(deps: DockerDeps, archive: Archive, prefix: string, checks: boolean, call: WriteCall) {
    this.#deps = deps;
    this.#archive = archive;
    this.#prefix = prefix;
    this.#checks = checks;
    this.#call = call;
    this.#id = toHex(deps.random(8));
  }

  /** The manifest, which is in the store by then with all that it names. */
  async take({ config: configPath, layers: paths }: Entry): Promise<Descriptor> {
    const { desc, config } = await this.#config(configPath);
    const { diffIds } = config;
    if (paths.length !== diffIds.length)
      throw new HawserError(
        'InvalidArgument',
        `${visible(configPath)} has ${diffIds.length} diff IDs, and manifest.json ${paths.length} layers`,
        { hint: 'The archive was damaged or changed: make it again' },
      );
    const layers: Descriptor[] = [];
    for (const [index, path] of paths.entries()) {
      const diffId = diffIds[index];
      if (diffId !== undefined) layers.push(await this.#layer(path, diffId));
    }
    return await this.#manifest(desc, layers);
  }

  async #config(path: string): Promise<{ readonly desc: Descriptor; readonly config: ImageConfig }> {
    const member = await this.#member(path);
    const bytes = await readMember(path, member, MAX_CONFIG_BYTES, (one) => this.#open(one));
    const digest = digestBytes(bytes, this.#deps.hashers);
    const desc = { mediaType: DOCKER_CONFIG, digest, size: bytes.length };
    const config = parseConfig(bytes, desc);
    if (config.rootfsType === '' && config.diffIds.length === 0)
      throw new HawserError('InvalidArgument', `${visible(path)} is no config of an image: it has no rootfs`);
    await this.#write(desc, bytes);
    return { desc, config };
  }

  async #manifest(config: Descriptor, layers: readonly Descriptor[]): Promise<Descriptor> {
    const part = ({ mediaType, digest, size }: Descriptor) => ({ mediaType, digest, size });
    const json = {
      schemaVersion: 2,
      mediaType: DOCKER_MANIFEST,
      config: part(config),
      layers: layers.map(part),
    };
    const bytes = new TextEncoder().encode(JSON.stringify(json));
    const digest = digestBytes(bytes, this.#deps.hashers);
    const desc = { mediaType: DOCKER_MANIFEST, digest, size: bytes.length };
    await this.#write(desc, bytes);
    return desc;
  }

  async #write(desc: Descriptor, bytes: Uint8Array): Promise<void> {
    await writeBlob(this.#deps.content, desc, bytes, this.#call);
    this.generated.add(desc.digest);
  }

  async #member(path: string): Promise<Member> {
    const name = memberName(path);
    const member =
      name === undefined ? undefined : await followed(this.#archive, `${this.#prefix}${name}`, this.#call);
    if (member !== undefined) return member;
    throw new HawserError(
      'InvalidArgument',
      `the archive has no file ${JSON.stringify(visible(path.slice(0, 300)))}`,
    );
  }

  async #layer(path: string, diffId: Digest): Promise<Descriptor> {
    const known = this.#layers.get(path);
    const layer = known ?? (await this.#stored(path, diffId));
    this.#layers.set(path, layer);
    this.generated.add(layer.digest);
    await this.#check(path, layer, diffId);
    return layer;
  }

  async #stored(path: string, diffId: Digest): Promise<Descriptor> {
    const member = await this.#member(path);
    const { content } = this.#deps;
    const { digest, size } = await this.#take(path, member, diffId);
    const compression = await readCompression(content, digest, this.#call);
    return { mediaType: TYPES[compression], digest, size };
  }

  /** What is in the store already is not read again: an expanded layer has its diff ID for a digest, crane names a file by its digest. */
  async #take(
    path: string,
    member: Member,
    diffId: Digest,
  ): Promise<{ readonly digest: Digest; readonly size: number }> {
    if (member.type === 'stored') return member;
    if (member.type === 'wrong') throw member.error;
    if (member.type !== 'file') throw new HawserError('InvalidArgument', `${visible(path)} is no file`);
    const claimed = `sha256:${/([0-9a-f]{64})(?:\.tar(?:\.gz)?)?$/.exec(path)?.[1] ?? ''}`;
    for (const digest of [diffId, claimed]) {
      if (!isDigest(digest)) continue;
      const info = await ifFound(this.#deps.content.info(digest, this.#call));
      if (info?.size === member.size && (await this.#isLikely(member, digest === diffId)))
        return await this.#leased(digest, member);
    }
    return { digest: await this.#ingest(member), size: member.size };
  }

  /** Only an expanded layer can have its diff ID for a digest. */
  async #isLikely(member: Extract<Member, { type: 'file' }>, expanded: boolean): Promise<boolean> {
    const reader = (await member.open(0, this.#call)).getReader();
    const { value } = await reader.read();
    await reader.cancel();
    const head = value?.subarray(0, DETECT_LENGTH) ?? new Uint8Array(0);
    return (detectCompression(head) === 'identity') === expanded;
  }

  /** The store says AlreadyExists, and holds it for the lease. */
  async #leased(digest: Digest, { size }: { readonly size: number }) {
    const { content } = this.#deps;
    const ref = `import-${this.#id}-${this.#layers.size}`;
    const ingest = await ifFound(content.ingest(ref, { digest, size }, this.#call), 'AlreadyExists');
    if (ingest === undefined) return { digest, size };
    await ingest[Symbol.asyncDispose]();
    await ifFound(content.abort(ref));
    throw new HawserError('Unavailable', `${digest} went from the store just now`, { hint: 'Import again' });
  }

  async #ingest(member: Extract<Member, { type: 'file' }>): Promise<Digest> {
    const { content } = this.#deps;
    const ref = `import-${this.#id}-${this.#layers.size}`;
    const ingest = await content.ingest(ref, { size: member.size }, this.#call);
    try {
      for await (const piece of await member.open(0, this.#call)) await ingest.write(piece, this.#call);
      const digest = await ingest.commit({ size: member.size, ...this.#call });
      await ingest[Symbol.asyncDispose]();
      return digest;
    } catch (err) {
      throw await cleanedUp(err, async () => {
        await ingest[Symbol.asyncDispose]();
        await ifFound(content.abort(ref));
      });
    }
  }

  /** An expanded layer costs no look; of a compressed one a label of an earlier look will do. */
  async #check(path: string, layer: Descriptor, diffId: Digest): Promise<void> {
    const { content } = this.#deps;
    if (layer.mediaType === DOCKER_LAYER) return requireSame(path, diffId, layer.digest);
    if (!this.#checks) return;
    const { labels } = await content.info(layer.digest, this.#call);
    const known = labels[UNCOMPRESSED_LABEL];
    const actual = known ?? (await readLayerFacts(this.#deps, layer.digest, this.#call)).diffId;
    requireSame(path, diffId, actual);
    if (known === undefined) await content.label(layer.digest, { [UNCOMPRESSED_LABEL]: diffId }, this.#call);
  }

  async #open(member: Member): Promise<ReadableStream<Uint8Array>> {
    if (member.type === 'file') return await member.open(0, this.#call);
    if (member.type === 'stored') return await this.#deps.content.open(member.digest, this.#call);
    throw new HawserError('Internal', 'A member of an archive without content');
  }
}

function requireSame(path: string, expected: Digest, actual: string): void {
  if (actual === expected) return;
  throw new HawserError(
    'DataLoss',
    `wrong diff id: the config says ${expected}, ${visible(path)} expands to ${actual}`,
    {
      hint: 'The archive was damaged or changed: make it again',
      reason: { type: 'mismatch', expected, actual },
    },
  );
}
