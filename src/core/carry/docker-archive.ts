/** Takes archives of `docker save` into a store (saved-images.ts: what they are). */
import { cleanedUp } from '../async/cleanup.ts';
import { toHex, visible } from '../bytes.ts';
import { DETECT_LENGTH, detectCompression } from '../codec/formats.ts';
import type { ContentStore } from '../content/content-store.ts';
import { writeBlob } from '../content/write.ts';
import { HawserError, ifFound } from '../errors.ts';
import { UNCOMPRESSED_LABEL } from '../images/gc-labels.ts';
import { readCompression, readLayerFacts } from '../layers/layer-state.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { DOCKER_LAYER } from '../oci/media-types.ts';
import type { WriteCall } from '../ports/call.ts';
import type { Codecs } from '../ports/codecs.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { ArchivedImage } from './import-names.ts';
import type { Archive, Member } from './members.ts';
import {
  layerType,
  makeManifest,
  readSavedConfig,
  type SavedFiles,
  type SavedImage,
  savedImages,
  savedLayers,
  savedMember,
} from './saved-images.ts';

export interface DockerDeps {
  readonly content: ContentStore;
  readonly codecs: Codecs;
  readonly hashers: Hashers;
  random(length: number): Uint8Array;
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
  const entries = await savedImages(archive, deps.content, prefix, call);
  const intake = new DockerIntake(deps, archive, prefix, checks, call);
  const images: ArchivedImage[] = [];
  for (const entry of entries) images.push({ target: await intake.take(entry), names: entry.tags });
  return { images, generated: intake.generated };
}

class DockerIntake {
  readonly generated = new Set<string>();
  readonly #deps: DockerDeps;
  readonly #files: SavedFiles;
  readonly #checks: boolean;
  readonly #call: WriteCall;
  readonly #id: string;
  /** By path: what images share is read once. */
  readonly #layers = new Map<string, Descriptor>();

  constructor(deps: DockerDeps, archive: Archive, prefix: string, checks: boolean, call: WriteCall) {
    this.#deps = deps;
    this.#files = { archive, prefix, hashers: deps.hashers, call };
    this.#checks = checks;
    this.#call = call;
    this.#id = toHex(deps.random(8));
  }

  /** The manifest, which is in the store by then with all that it names. */
  async take(saved: SavedImage): Promise<Descriptor> {
    const { desc, bytes, config } = await readSavedConfig(this.#files, saved, (one) => this.#open(one));
    await this.#write(desc, bytes);
    const layers: Descriptor[] = [];
    for (const { path, diffId } of savedLayers(saved, config)) layers.push(await this.#layer(path, diffId));
    const manifest = makeManifest(desc, layers, this.#deps.hashers);
    await this.#write(manifest.desc, manifest.bytes);
    return manifest.desc;
  }

  async #write(desc: Descriptor, bytes: Uint8Array): Promise<void> {
    await writeBlob(this.#deps.content, desc, bytes, this.#call);
    this.generated.add(desc.digest);
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
    const member = await savedMember(this.#files, path);
    const { content } = this.#deps;
    const { digest, size } = await this.#take(path, member, diffId);
    const compression = await readCompression(content, digest, this.#call);
    return { mediaType: layerType(compression), digest, size };
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
