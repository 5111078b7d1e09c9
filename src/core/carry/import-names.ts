/** The names that an archive's images get (ctr's flags). What an archive says is hostile: a name is a reference, or refused. */
import { visible } from '../bytes.ts';
import { HawserError, messageOf } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { parseReference } from '../reference/parse.ts';
import { IMAGE_NAME, REF_NAME } from './annotations.ts';

/** One image of an archive, with the names that the archive gives it. */
export interface ArchivedImage {
  readonly target: Descriptor;
  /** What it is called, full names and bare tags. */
  readonly names: readonly string[];
}

export interface NameOptions {
  /** Of a bare tag, the repository; of full names, those below are taken and no others. */
  readonly baseName?: string | undefined;
  /** The name of the one image that there is, whatever the archive says. */
  readonly name?: string | undefined;
  /** Records each image by its digest, too. */
  readonly digests?: boolean | undefined;
  /** With `digests`: only those without a name. */
  readonly skipDigestForNamed?: boolean | undefined;
  /** Leaves out names that are refused. */
  readonly skipBadNames?: boolean | undefined;
}

export interface NamedImage {
  readonly name: string;
  readonly target: Descriptor;
}

export interface ChosenNames {
  /** By digest before by tag, as CRI records them. Never empty. */
  readonly images: readonly NamedImage[];
  /** Sentences about what was left out. */
  readonly leftOut: readonly string[];
}

/** The names that the annotations of an index entry give, as containerd reads them. */
export function annotatedNames({ annotations = {} }: Descriptor): string[] {
  const name = annotations[IMAGE_NAME] ?? annotations[REF_NAME] ?? '';
  return name === '' ? [] : [name];
}

/** InvalidArgument for a name that is refused, for one name of two images, and where nothing has a name. */
export function chooseNames(archived: readonly ArchivedImage[], options: NameOptions): ChosenNames {
  const named = new NamedImages();
  const leftOut: string[] = [];
  if (options.name !== undefined) return { images: [given(archived, options.name)], leftOut };
  for (const image of archived) {
    const names = namesOf(image, options, leftOut);
    if (options.digests === true && !(names.length > 0 && options.skipDigestForNamed === true))
      for (const name of digestNames(image, names, options)) named.add(name, image.target);
    for (const name of names) named.add(name, image.target);
  }
  if (named.images.length === 0) throw noNames(archived, options);
  return { images: named.images, leftOut };
}

const NO_IMAGE =
  'An archive with images has them in its index.json or manifest.json (docker save, skopeo copy, hawser export)';

class NamedImages {
  readonly images: NamedImage[] = [];
  readonly #targets = new Map<string, Digest>();

  add(name: string, target: Descriptor): void {
    const before = this.#targets.get(name);
    if (before === target.digest) return;
    if (before !== undefined)
      throw new HawserError(
        'InvalidArgument',
        `the archive has two images called ${visible(name)}: ${before} and ${target.digest}`,
        { hint: 'Make an archive that gives the name to one of them' },
      );
    this.#targets.set(name, target.digest);
    this.images.push({ name, target });
  }
}

function given(archived: readonly ArchivedImage[], name: string): NamedImage {
  const targets = new Map(archived.map(({ target }) => [target.digest, target]));
  const [target, ...more] = targets.values();
  if (target === undefined)
    throw new HawserError('InvalidArgument', 'the archive has no image', { hint: NO_IMAGE });
  if (more.length > 0)
    throw new HawserError(
      'InvalidArgument',
      `the archive has ${targets.size} images, and one name is given`,
      {
        hint: 'Leave the name away: the images keep the names that the archive gives them',
      },
    );
  return { name: checkedName(name, target.digest), target };
}

function namesOf(image: ArchivedImage, options: NameOptions, leftOut: string[]): string[] {
  const names: string[] = [];
  for (const raw of image.names) {
    const full = fullName(raw, options.baseName);
    if (full === undefined) {
      leftOut.push(`Left out the tag ${raw}: no repository is given (--base-name)`);
      continue;
    }
    try {
      const name = checkedName(full, image.target.digest);
      if (options.baseName === undefined || isBelow(name, baseOf(options.baseName))) names.push(name);
      else leftOut.push(`Left out ${name}: it is not below ${options.baseName}`);
    } catch (err) {
      if (options.skipBadNames !== true) throw err;
      leftOut.push(`Left out a name: ${messageOf(err)}`);
    }
  }
  return names;
}

/** A tag alone, as skopeo, umoci and oras call an image of a layout. */
export function isTag(raw: string): boolean {
  return /^[\w][\w.-]{0,127}$/.test(raw);
}

/** A bare tag gets the repository; undefined where there is none. What is no tag either is refused later, as a name. */
function fullName(raw: string, base: string | undefined): string | undefined {
  if (!isTag(raw)) return raw;
  return base === undefined ? undefined : `${base}:${raw}`;
}

/** The repository of a base name, with Docker's defaults. */
function baseOf(base: string): string {
  const { host, repository } = parseReference(base);
  return `${host}/${repository}`;
}

/** `localhost/a` has `localhost/a:1` and `localhost/a/b:1` below it, and not `localhost/ab:1`. */
function isBelow(name: string, base: string): boolean {
  return name.startsWith(base) && /^[/:@]/.test(name.slice(base.length));
}

/** The name of the record; InvalidArgument. CRI calls an image's ID `sha256:...`: such a name would take the place of another image's ID. */
export function checkedName(raw: string, target: Digest): string {
  const refuse = (why: string, cause?: unknown): HawserError =>
    new HawserError(
      'InvalidArgument',
      `Cannot use the name ${JSON.stringify(visible(raw.slice(0, 300)))} of an image: ${why}`,
      {
        cause,
        hint: 'hawser import --name gives the image another one, and --skip-bad-names leaves such names out',
      },
    );
  if (isDigest(raw)) throw refuse('it has the form of an image ID');
  let name: string;
  let digest: Digest | undefined;
  try {
    ({ name, digest } = parseReference(raw));
  } catch (err) {
    throw refuse(messageOf(err), err);
  }
  if (digest !== undefined && digest !== target) throw refuse(`the image is ${target}`);
  return name;
}

/** `<repository>@<digest>` for each repository that the image is named by, else for the base name. */
function digestNames(
  { target }: ArchivedImage,
  names: readonly string[],
  { baseName }: NameOptions,
): string[] {
  const repositories = new Set(names.map(baseOf));
  if (repositories.size === 0 && baseName !== undefined) repositories.add(baseOf(baseName));
  return [...repositories].map((repository) => `${repository}@${target.digest}`);
}

function noNames(archived: readonly ArchivedImage[], { baseName }: NameOptions): HawserError {
  if (archived.length === 0)
    return new HawserError('InvalidArgument', 'the archive has no image', { hint: NO_IMAGE });
  const raw = archived.flatMap(({ names }) => names).slice(0, 10);
  const list = archived.slice(0, 10).map(({ target }) => target.digest);
  const has =
    raw.length > 0
      ? `the names ${raw.map((one) => JSON.stringify(visible(one.slice(0, 100)))).join(', ')}`
      : `no names: ${list.join(', ')}`;
  if (baseName !== undefined && raw.length > 0)
    return new HawserError(
      'InvalidArgument',
      `image might be filtered out: the archive has ${has}, none of them below ${baseName}`,
      {
        hint: 'Name another repository with --base-name, or leave it away',
      },
    );
  return new HawserError('InvalidArgument', `no image of the archive has a full name; it has ${has}`, {
    hint: 'Give a repository with --base-name REPOSITORY, or one name with --name NAME',
  });
}
