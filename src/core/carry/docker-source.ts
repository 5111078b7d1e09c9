/** An image of an archive of `docker save` that is read in place: its manifest is made, as an import makes it, and no layer is copied. */
import { visible } from '../bytes.ts';
import { DETECT_LENGTH, detectCompression } from '../codec/formats.ts';
import { peek } from '../codec/peek.ts';
import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, makeDigest } from '../oci/digest.ts';
import type { BlobFiles } from '../reference/reference.ts';
import type { ArchivedImage } from './import-names.ts';
import { type Member, memberName } from './members.ts';
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
import { isCalled, noneFits, type Source, severalFit } from './source-names.ts';

type Made = ArchivedImage & { readonly files: BlobFiles };

/**
 * The image that is meant, by its name, its digest, or its place in manifest.json (`:@0`, as in skopeo). InvalidArgument where several
 * fit, NotFound where none does. A compressed layer is read whole: nothing in the archive proves its digest.
 */
export async function savedImageOf(files: SavedFiles, source: Source): Promise<Made> {
  const { archive, prefix, call } = files;
  const images = await savedImages(archive, undefined, prefix, call);
  const all = images.map(({ tags }, index) => tags[0] ?? `@${index}`);
  const fitting = distinct(named(images, source.name));
  if (source.digest === undefined) {
    const [first] = fitting;
    if (fitting.length > 1) throw severalFit(source, all, fitting.length);
    if (first !== undefined) return await make(files, first);
  } else
    for (const image of fitting) {
      const made = await make(files, image);
      if (made.target.digest === source.digest) return made;
    }
  throw noneFits(source, all);
}

function named(images: readonly SavedImage[], name: string | undefined): readonly SavedImage[] {
  if (name === undefined) return images;
  const index = /^@(\d{1,6})$/.exec(name)?.[1];
  if (index !== undefined) return images.slice(Number(index), Number(index) + 1);
  return images.filter(({ tags }) => isCalled(tags, name));
}

/** One image may be listed once for each of its names. */
function distinct(images: readonly SavedImage[]): readonly SavedImage[] {
  const seen = new Map<string, SavedImage>();
  for (const image of images) {
    const key = JSON.stringify([image.config, image.layers]);
    const before = seen.get(key);
    seen.set(key, before === undefined ? image : { ...before, tags: [...before.tags, ...image.tags] });
  }
  return [...seen.values()];
}

async function make(files: SavedFiles, image: SavedImage): Promise<Made> {
  const { call } = files;
  const open = async (member: Member) => await fileOf(image.config, member).open(0, call);
  const { desc, bytes, config } = await readSavedConfig(files, image, open);
  const blobs = new Map<Digest, string | Uint8Array>();
  const known = new Map<string, Descriptor>();
  const layers: Descriptor[] = [];
  for (const { path, diffId } of savedLayers(image, config)) {
    const layer = known.get(path) ?? (await describe(files, path, diffId));
    known.set(path, layer);
    layers.push(layer);
    blobs.set(layer.digest, `${files.prefix}${memberName(path) ?? ''}`);
  }
  blobs.set(desc.digest, bytes);
  const manifest = makeManifest(desc, layers, files.hashers);
  blobs.set(manifest.desc.digest, manifest.bytes);
  return { target: manifest.desc, names: image.tags, files: blobs };
}

/** Of an expanded layer the diff ID is the digest: whoever reads the layer checks that. */
async function describe(files: SavedFiles, path: string, diffId: Digest): Promise<Descriptor> {
  const { hashers, call } = files;
  const member = fileOf(path, await savedMember(files, path));
  const { head, stream } = await peek(await member.open(0, call), DETECT_LENGTH, call);
  const compression = detectCompression(head);
  const mediaType = layerType(compression);
  if (compression === 'identity') {
    await stream.cancel();
    return { mediaType, digest: diffId, size: member.size };
  }
  const hasher = hashers.create('sha256');
  for await (const piece of stream) hasher.update(piece);
  return { mediaType, digest: makeDigest('sha256', hasher.digest()), size: member.size };
}

function fileOf(path: string, member: Member): Extract<Member, { type: 'file' }> {
  if (member.type === 'file') return member;
  throw new HawserError('InvalidArgument', `${visible(path)} is no file`);
}
