/**
 * What an archive of `docker save` says: a config and layers, and no manifest. hawser makes the same manifest as containerd's importer, so
 * that nodes agree, but gives a zstd layer the media type of zstd. No registry has this manifest.
 */
import { visible } from '../bytes.ts';
import type { Provider } from '../content/content-store.ts';
import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestBytes } from '../oci/digest.ts';
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
import type { Call } from '../ports/call.ts';
import type { Compression } from '../ports/codecs.ts';
import type { Hashers } from '../ports/hashers.ts';
import { readArchived } from './archive-blobs.ts';
import { MAX_INDEX_JSON } from './directory-sink.ts';
import { type Archive, followed, type Member, memberName, readMember } from './members.ts';

const MAX_IMAGES = 1000;
const MAX_LAYERS = 10_000;
const TYPES: Readonly<Record<Compression, string>> = {
  identity: DOCKER_LAYER,
  gzip: DOCKER_LAYER_GZIP,
  zstd: DOCKER_LAYER_ZSTD,
};

/** An image of manifest.json; config and layers are paths in the archive. */
export interface SavedImage {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

/** Where the files of a saved image are. */
export interface SavedFiles {
  readonly archive: Archive;
  /** Where in the archive manifest.json is. */
  readonly prefix: string;
  readonly hashers: Hashers;
  readonly call: Call;
}

/** `store`: what a stream went into. */
export async function savedImages(
  archive: Archive,
  store: Provider | undefined,
  prefix: string,
  call: Call,
): Promise<readonly SavedImage[]> {
  const bytes = await readArchived(archive, store, `${prefix}manifest.json`, MAX_INDEX_JSON, call);
  const list = parseJson(bytes ?? new Uint8Array(0), 'manifest.json');
  return arrayField({ list }, 'list', 'manifest.json:', MAX_IMAGES, parseEntry) ?? [];
}

function parseEntry(value: Json, where: string): SavedImage {
  const from = asObject(value, where);
  const config = stringField(from, 'Config', where);
  if (config === undefined) throw misfit(at(where, 'Config'), 'must name a file');
  return {
    config,
    tags: arrayField(from, 'RepoTags', where, MAX_IMAGES, asString) ?? [],
    layers: arrayField(from, 'Layers', where, MAX_LAYERS, asString) ?? [],
  };
}

/** A document that is made or read here. */
export interface SavedDocument {
  readonly desc: Descriptor;
  readonly bytes: Uint8Array;
}

/** InvalidArgument for what is no config of an image. */
export async function readSavedConfig(
  files: SavedFiles,
  { config: path }: SavedImage,
  open: (member: Member) => Promise<ReadableStream<Uint8Array>>,
): Promise<SavedDocument & { readonly config: ImageConfig }> {
  const bytes = await readMember(path, await savedMember(files, path), MAX_CONFIG_BYTES, open);
  const desc = { mediaType: DOCKER_CONFIG, digest: digestBytes(bytes, files.hashers), size: bytes.length };
  const config = parseConfig(bytes, desc);
  if (config.rootfsType === '' && config.diffIds.length === 0)
    throw new HawserError('InvalidArgument', `${visible(path)} is no config of an image: it has no rootfs`);
  return { desc, bytes, config };
}

/** The member of the archive that `path` is or leads to. InvalidArgument when there is none. */
export async function savedMember({ archive, prefix, call }: SavedFiles, path: string): Promise<Member> {
  const name = memberName(path);
  const member = name === undefined ? undefined : await followed(archive, `${prefix}${name}`, call);
  if (member !== undefined) return member;
  throw new HawserError(
    'InvalidArgument',
    `the archive has no file ${JSON.stringify(visible(path.slice(0, 300)))}`,
  );
}

/** InvalidArgument unless there are as many layers as diff IDs. */
export function savedLayers(
  { config, layers }: SavedImage,
  { diffIds }: ImageConfig,
): readonly { readonly path: string; readonly diffId: Digest }[] {
  if (layers.length !== diffIds.length)
    throw new HawserError(
      'InvalidArgument',
      `${visible(config)} has ${diffIds.length} diff IDs, and manifest.json ${layers.length} layers`,
      { hint: 'The archive was damaged or changed: make it again' },
    );
  return diffIds.map((diffId, index) => ({ path: layers[index] ?? '', diffId }));
}

export function layerType(compression: Compression): string {
  return TYPES[compression];
}

/** The same bytes for the same image, from whatever verb. */
export function makeManifest(
  config: Descriptor,
  layers: readonly Descriptor[],
  hashers: Hashers,
): SavedDocument {
  const part = ({ mediaType, digest, size }: Descriptor) => ({ mediaType, digest, size });
  const json = {
    schemaVersion: 2,
    mediaType: DOCKER_MANIFEST,
    config: part(config),
    layers: layers.map(part),
  };
  const bytes = new TextEncoder().encode(JSON.stringify(json));
  const digest = digestBytes(bytes, hashers);
  return { desc: { mediaType: DOCKER_MANIFEST, digest, size: bytes.length }, bytes };
}
