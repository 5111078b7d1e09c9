/** Images of layouts and archives that are read in a registry's place: which one a user means, and what the image is called. */
import { visible } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { componentsOf } from '../paths.ts';
import { parseReference } from '../reference/parse.ts';
import { tagOf } from './annotations.ts';
import { checkedName, isTag } from './import-names.ts';

/** The transports of skopeo that are read. */
export type SourceForm = 'oci' | 'oci-archive' | 'docker-archive' | 'dir';

export interface Source {
  readonly form: SourceForm;
  /** Absolute. */
  readonly path: string;
  /** Which image is meant: what the layout calls it, or its tag; of an archive of docker save `@` and its place, too. */
  readonly name: string | undefined;
  readonly digest: Digest | undefined;
}

/** By its whole name, by what the layout calls it, or by the tag of either. */
export function isCalled(called: readonly string[], name: string): boolean {
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

/** `images`: what each is called behind the path. */
function noChoice(
  { form }: Source,
  images: readonly string[],
  why: string,
  kind: 'InvalidArgument' | 'NotFound' = 'InvalidArgument',
): HawserError {
  const more = images.length > MOST_LISTED ? ` and ${images.length - MOST_LISTED} more` : '';
  const list = images.slice(0, MOST_LISTED).map(quoted).join(', ');
  const place = form === 'oci' ? 'oci:DIR' : `${form}:FILE`;
  return new HawserError(kind, `${why}; there are ${list}${more}`, {
    hint: `Name one of them behind the path: ${place}:NAME, or ${place}@DIGEST`,
  });
}

/** That several images fit. */
export function severalFit(source: Source, images: readonly string[], count: number): HawserError {
  return noChoice(
    source,
    images,
    `it has ${count} images${source.name === undefined ? '' : ' of this name'}`,
  );
}

/** That no image fits. */
export function noneFits(source: Source, images: readonly string[]): HawserError {
  if (images.length === 0)
    return new HawserError('NotFound', 'it has no image', {
      hint: 'An OCI layout has its images in index.json, an archive of docker save in manifest.json',
    });
  const called = source.name === undefined ? '' : ` called ${quoted(source.name)}`;
  const wanted = source.digest === undefined ? '' : ` with the digest ${source.digest}`;
  return noChoice(source, images, `it has no image${called}${wanted}`, 'NotFound');
}

function quoted(name: string): string {
  return JSON.stringify(visible(name.slice(0, 200)));
}

/** The full name that the user gave; else the one that the layout gives the image; else, as podman has it, one at localhost, after the directory. InvalidArgument. */
export function recordName(
  digest: Digest,
  names: readonly string[],
  { path, name, digest: given }: Source,
): string {
  const asked = name?.startsWith('@') === true ? undefined : name;
  const own = asked === undefined || isTag(asked) ? names[0] : asked;
  if (own !== undefined && !isTag(own)) return checkedName(own, digest);
  const directory = (componentsOf(path).at(-1) ?? '').toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const repository = `localhost/${directory.replace(/^-|-$/g, '') || 'layout'}`;
  const tag = own ?? asked;
  return tag === undefined && given !== undefined
    ? `${repository}@${digest}`
    : `${repository}:${tag ?? 'latest'}`;
}
