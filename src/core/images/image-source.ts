/** Where the blobs of a stored image are from. */
import type { InfoProvider, Labels } from '../content/content-store.ts';
import { ifFound } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import { parseReference } from '../reference/parse.ts';
import type { Reference } from '../reference/reference.ts';
import { sourceLabelKey } from './gc-labels.ts';
import type { Image } from './image-store.ts';

const SOURCE = sourceLabelKey('');

/**
 * What the name says, when it is a full reference; else (an ID, such as CRI records, or a name that somebody chose) what another name
 * of the same target says, or the label of the target's blob. Undefined: nothing tells.
 */
export async function imageSource(
  content: InfoProvider,
  image: Image,
  images: readonly Image[],
  call: Call,
): Promise<Reference | undefined> {
  const same = images.filter(({ target }) => target.digest === image.target.digest);
  for (const { name } of [image, ...same]) {
    const reference = referenceOf(name);
    if (reference?.name === name) return reference;
  }
  const info = await ifFound(content.info(image.target.digest, call));
  return labelled(info?.labels ?? {}, image);
}

function labelled(labels: Labels, { target }: Image): Reference | undefined {
  for (const [key, value] of Object.entries(labels)) {
    if (!key.startsWith(SOURCE)) continue;
    for (const repository of value.split(',')) {
      const reference = referenceOf(`${key.slice(SOURCE.length)}/${repository}@${target.digest}`);
      if (reference !== undefined) return reference;
    }
  }
  return undefined;
}

function referenceOf(name: string): Reference | undefined {
  try {
    return parseReference(name);
  } catch {
    return undefined;
  }
}
