/**
 * A layout or an archive in the place of a registry: `oci:DIR[:NAME][@DIGEST]`, `oci-archive:FILE` and `docker-archive:FILE` with the same,
 * and `dir:DIR[@DIGEST]`. It is only read, no network is asked, and nothing of it is believed that a digest does not prove.
 */
import { absolutePath } from '../absolute-path.ts';
import { closingAfter } from '../async/cleanup.ts';
import { visible } from '../bytes.ts';
import { readBlob } from '../content/read.ts';
import { HawserError, wrap } from '../errors.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { documentType, MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { OCTET_STREAM } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import { parseReference } from '../reference/parse.ts';
import type { BlobFiles, Reference } from '../reference/reference.ts';
import type { Runtime } from '../runtime.ts';
import { LayoutFetcher, readArchived } from './archive-blobs.ts';
import { blobsAt } from './blob-files.ts';
import { dirImage } from './dir-source.ts';
import { savedImageOf } from './docker-source.ts';
import type { Archive } from './members.ts';
import { type ListedImage, layoutContent } from './oci-roots.ts';
import { formOf, openInPlace } from './open-archive.ts';
import { isCalled, noneFits, recordName, type Source, type SourceForm, severalFit } from './source-names.ts';

type Deps = Pick<Runtime, 'fs' | 'hashers' | 'host'>;

const FORM = /^(oci|oci-archive|docker-archive|dir):/;

/** Whether `text` names a layout or an archive, and no image at a registry. */
export function isLayoutSource(text: string): boolean {
  return FORM.test(text);
}

/** The reference that a user wrote, be it to an image at a registry or to one of a layout, which is looked up. */
export async function referenceOf(runtime: Deps, text: string, call: Call): Promise<Reference> {
  const form = FORM.exec(text)?.[1];
  if (form === undefined) return parseReference(text);
  const source = parseSource(runtime, form as SourceForm, text);
  try {
    const archive = await openLayout(runtime.fs, source.path, call);
    return await closingAfter(
      () => find(runtime, text, source, archive, call),
      () => archive[Symbol.asyncDispose](),
    );
  } catch (err) {
    throw wrap(`Cannot use ${visible(text)}`, err);
  }
}

/** The path ends at the first colon, as skopeo has it; that of `dir:`, which has one image, does not. */
function parseSource({ host }: Deps, form: SourceForm, text: string): Source {
  const rest = text.slice(form.length + 1);
  const at = rest.search(/@[a-z0-9]+:[0-9a-f]+$/);
  const digest = at < 0 ? undefined : rest.slice(at + 1);
  if (digest !== undefined && !isDigest(digest))
    throw new HawserError('InvalidArgument', `Cannot use ${visible(text)}: ${digest} is not a digest`, {
      hint: 'A digest is sha256: and 64 hexadecimal digits',
    });
  const named = at < 0 ? rest : rest.slice(0, at);
  const colon = form === 'dir' ? -1 : named.indexOf(':');
  const name = colon < 0 ? '' : named.slice(colon + 1);
  const path = absolutePath(colon < 0 ? named : named.slice(0, colon), host);
  return { form, path, name: name === '' ? undefined : name, digest };
}

/** InvalidArgument for an archive that can be read from its start only. */
export async function openLayout(fs: Deps['fs'], path: string, call: Call): Promise<Archive> {
  const opened = await openInPlace(fs, path, call);
  if (opened.type === 'archive') return opened.archive;
  await opened.file.close();
  throw new HawserError('InvalidArgument', 'the archive is compressed, and can be read from its start only', {
    hint: `Bring it into the store: hawser import ${visible(path)}`,
  });
}

/** Where in the archive the layout is. InvalidArgument for what is no OCI layout. */
export async function prefixOf(archive: Archive, call: Call): Promise<string> {
  const { type, prefix } = await formOf(archive, call);
  if (type === 'oci') return prefix;
  const path = visible(archive.name);
  throw new HawserError('InvalidArgument', 'it is an archive of docker save, and no OCI layout', {
    hint: `Name it docker-archive:${path}, or bring it into the store: hawser import ${path}`,
  });
}

async function find(
  deps: Deps,
  text: string,
  source: Source,
  archive: Archive,
  call: Call,
): Promise<Reference> {
  const { target, names, files } = await imageOf(deps, source, archive, call);
  const { mediaType, digest, size } = target;
  const { name, host, repository, tag } = parseReference(recordName(digest, names, source));
  const layout = { path: source.path, root: { mediaType, digest, size }, files };
  return { raw: text, name, host, repository, tag, digest, layout };
}

interface Chosen extends Pick<ListedImage, 'target' | 'names'> {
  readonly files?: BlobFiles | undefined;
}

async function imageOf({ hashers }: Deps, source: Source, archive: Archive, call: Call): Promise<Chosen> {
  if (source.form === 'dir') {
    const image = await dirImage(archive, hashers, call);
    if (source.digest === undefined || source.digest === image.target.digest) return image;
    const blobs = new LayoutFetcher(blobsAt(archive, image.files), '', hashers);
    return { ...(await documentOf(blobs, source.digest, call)), files: image.files };
  }
  if (source.form === 'docker-archive') {
    // An archive of Docker 25 and newer is a layout, too, whose digests are those of the image.
    const { type, prefix } = await formOf(archive, call);
    if (type === 'docker') return await savedImageOf({ archive, prefix, hashers, call }, source);
  }
  const prefix = await prefixOf(archive, call);
  const read = (name: string, limit: number) =>
    readArchived(archive, undefined, `${prefix}${name}`, limit, call);
  const { images } = await layoutContent(read, hashers);
  const chosen = choose(images, source);
  if (chosen !== undefined) return chosen;
  if (source.digest === undefined) throw new HawserError('Internal', 'no digest');
  return await documentOf(new LayoutFetcher(archive, prefix, hashers), source.digest, call);
}

/** The image that is meant; undefined for a digest that index.json does not list. InvalidArgument where several fit, NotFound where none does. */
function choose(images: readonly ListedImage[], source: Source): Chosen | undefined {
  const { name, digest } = source;
  const named = name === undefined ? images : images.filter(({ called }) => isCalled(called, name));
  const fitting = digest === undefined ? named : named.filter(({ target }) => target.digest === digest);
  const all = images.map(({ called, target }) => called[0] ?? `@${target.digest}`);
  const [first] = fitting;
  const count = new Set(fitting.map(({ target }) => target.digest)).size;
  if (count > 1) throw severalFit(source, all, count);
  if (first !== undefined) return first;
  if (digest !== undefined && name === undefined) return undefined;
  throw noneFits(source, all);
}

/** A document that no index names. */
async function documentOf(blobs: LayoutFetcher, digest: Digest, call: Call): Promise<Chosen> {
  const { size } = await blobs.listed(digest, call);
  const provider = { open: (one: Digest, opts?: Call) => blobs.read(one, opts ?? {}) };
  const bytes = await readBlob(provider, { digest, size }, MAX_MANIFEST_BYTES, call);
  return { target: { mediaType: documentType(bytes, '') ?? OCTET_STREAM, digest, size }, names: [] };
}
