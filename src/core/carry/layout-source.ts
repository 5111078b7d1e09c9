/**
 * A layout in the place of a registry: `oci:DIR[:NAME][@DIGEST]`, and `oci-archive:FILE` with the same. It is only read, no network is
 * asked, and nothing of it is believed that a digest does not prove.
 */
import { absolutePath } from '../absolute-path.ts';
import { closingAfter } from '../async/cleanup.ts';
import { visible } from '../bytes.ts';
import { readBlob } from '../content/read.ts';
import { HawserError, wrap } from '../errors.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { documentType, MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { OCTET_STREAM } from '../oci/media-types.ts';
import { componentsOf } from '../paths.ts';
import type { Call } from '../ports/call.ts';
import { parseReference } from '../reference/parse.ts';
import type { Reference } from '../reference/reference.ts';
import type { Runtime } from '../runtime.ts';
import { tagOf } from './annotations.ts';
import { LayoutFetcher, readArchived } from './archive-blobs.ts';
import { checkedName, isTag } from './import-names.ts';
import type { Archive } from './members.ts';
import { type ListedImage, layoutContent } from './oci-roots.ts';
import { formOf, openInPlace } from './open-archive.ts';

type Deps = Pick<Runtime, 'fs' | 'hashers' | 'host'>;

const FORM = /^oci(?:-archive)?:/;

/** Whether `text` names a layout, and no image at a registry. */
export function isLayoutSource(text: string): boolean {
  return FORM.test(text);
}

/** The reference that a user wrote, be it to an image at a registry or to one of a layout, which is looked up. */
export async function referenceOf(runtime: Deps, text: string, call: Call): Promise<Reference> {
  if (!isLayoutSource(text)) return parseReference(text);
  const source = parseSource(runtime, text);
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

interface Source {
  /** Absolute. */
  readonly path: string;
  /** Which image is meant: what the layout calls it, or its tag. */
  readonly name: string | undefined;
  readonly digest: Digest | undefined;
}

/** The path ends at the first colon, as skopeo has it. */
function parseSource({ host }: Deps, text: string): Source {
  const rest = text.replace(FORM, '');
  const at = rest.search(/@[a-z0-9]+:[0-9a-f]+$/);
  const digest = at < 0 ? undefined : rest.slice(at + 1);
  if (digest !== undefined && !isDigest(digest))
    throw new HawserError('InvalidArgument', `Cannot use ${visible(text)}: ${digest} is not a digest`);
  const named = at < 0 ? rest : rest.slice(0, at);
  const colon = named.indexOf(':');
  const name = colon < 0 ? '' : named.slice(colon + 1);
  const path = absolutePath(colon < 0 ? named : named.slice(0, colon), host);
  return { path, name: name === '' ? undefined : name, digest };
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
  throw new HawserError('InvalidArgument', 'it is an archive of docker save, and no OCI layout', {
    hint: `Bring it into the store: hawser import ${visible(archive.name)}`,
  });
}

async function find(
  { hashers }: Deps,
  text: string,
  source: Source,
  archive: Archive,
  call: Call,
): Promise<Reference> {
  const prefix = await prefixOf(archive, call);
  const read = (name: string, limit: number) =>
    readArchived(archive, undefined, `${prefix}${name}`, limit, call);
  const { images } = await layoutContent(read, hashers);
  const blobs = new LayoutFetcher(archive, prefix, hashers);
  const { target, names } = choose(images, source) ?? (await documentOf(blobs, source, call));
  const { mediaType, digest, size } = target;
  const { name, host, repository, tag } = parseReference(recordName(digest, names, source));
  const layout = { path: source.path, root: { mediaType, digest, size } };
  return { raw: text, name, host, repository, tag, digest, layout };
}

type Chosen = Pick<ListedImage, 'target' | 'names'>;

/** The image that is meant; undefined for a digest that index.json does not list. InvalidArgument where several fit, NotFound where none does. */
function choose(images: readonly ListedImage[], { name, digest }: Source): Chosen | undefined {
  const named = name === undefined ? images : images.filter((image) => isCalled(image, name));
  const fitting = digest === undefined ? named : named.filter(({ target }) => target.digest === digest);
  const [first] = fitting;
  const count = new Set(fitting.map(({ target }) => target.digest)).size;
  if (count > 1) throw choice(images, `it has ${count} images${name === undefined ? '' : ` of this name`}`);
  if (first !== undefined) return first;
  if (digest !== undefined && name === undefined) return undefined;
  if (images.length === 0) throw new HawserError('NotFound', 'it has no image');
  const wanted = digest === undefined ? '' : ` with the digest ${digest}`;
  throw choice(images, `it has no image called ${quoted(name ?? '')}${wanted}`, 'NotFound');
}

/** By its whole name, by what the layout calls it, or by the tag of either. */
function isCalled({ called }: ListedImage, name: string): boolean {
  return called.some(
    (one) => one === name || tagOf(one) === name || fullName(one) === (fullName(name) ?? name),
  );
}

function fullName(raw: string): string | undefined {
  if (isTag(raw)) return undefined;
  try {
    return parseReference(raw).name;
  } catch {
    return undefined;
  }
}

const MOST_LISTED = 10;

function choice(
  images: readonly ListedImage[],
  why: string,
  kind: 'InvalidArgument' | 'NotFound' = 'InvalidArgument',
): HawserError {
  const all = images.map(({ called, target }) => quoted(called[0] ?? `@${target.digest}`));
  const more = all.length > MOST_LISTED ? ` and ${all.length - MOST_LISTED} more` : '';
  return new HawserError(kind, `${why}; there are ${all.slice(0, MOST_LISTED).join(', ')}${more}`, {
    hint: 'Name one of them behind the path: oci:DIR:NAME, or oci:DIR@DIGEST',
  });
}

function quoted(name: string): string {
  return JSON.stringify(visible(name.slice(0, 200)));
}

/** A document that no index.json names. */
async function documentOf(blobs: LayoutFetcher, { digest }: Source, call: Call): Promise<Chosen> {
  if (digest === undefined) throw new HawserError('Internal', 'no digest');
  const { size } = await blobs.listed(digest, call);
  const provider = { open: (one: Digest, opts?: Call) => blobs.read(one, opts ?? {}) };
  const bytes = await readBlob(provider, { digest, size }, MAX_MANIFEST_BYTES, call);
  return { target: { mediaType: documentType(bytes, '') ?? OCTET_STREAM, digest, size }, names: [] };
}

/** The full name that the user gave; else the one that the layout gives the image; else, as podman has it, one at localhost, after the directory. InvalidArgument. */
function recordName(digest: Digest, names: readonly string[], { path, name, digest: given }: Source): string {
  const own = name === undefined || isTag(name) ? names[0] : name;
  if (own !== undefined && !isTag(own)) return checkedName(own, digest);
  const directory = (componentsOf(path).at(-1) ?? '').toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const repository = `localhost/${directory.replace(/^-|-$/g, '') || 'layout'}`;
  const tag = own ?? name;
  return tag === undefined && given !== undefined
    ? `${repository}@${digest}`
    : `${repository}:${tag ?? 'latest'}`;
}
