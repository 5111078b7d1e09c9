import { ifFound, isKind } from '../../core/errors.ts';
import { tagName } from '../../core/images/cri.ts';
import type { Image, ImageStore } from '../../core/images/image-store.ts';
import type { Call } from '../../core/ports/call.ts';
import { parseReference } from '../../core/reference/parse.ts';
import type { Reference } from '../../core/reference/reference.ts';
import { orHint } from './not-found.ts';

/** An image record by its name, or by a short name (`alpine`) as pulls accept. NotFound has the name as it was given. */
export async function findImage(images: ImageStore, name: string, call: Call): Promise<Image> {
  const hint = `Pull it: hawser pull ${name}; hawser images ls lists the images of this namespace`;
  return await orHint(find(images, name, call), hint);
}

/** The first of the names that is recorded. */
async function find(images: ImageStore, name: string, call: Call): Promise<Image> {
  try {
    return await images.get(name, call);
  } catch (err) {
    if (!isKind(err, 'NotFound')) throw err;
    for (const other of otherNames(name)) {
      const image = await ifFound(images.get(other, call));
      if (image !== undefined && isNamed(image, name)) return image;
    }
    throw err;
  }
}

/** The full name; of one with tag and digest what is recorded for CRI. */
function otherNames(given: string): string[] {
  const reference = parsed(given);
  if (reference === undefined) return [];
  const { name, host, repository, digest } = reference;
  const forCri = digest === undefined ? [] : [tagName(name), `${host}/${repository}@${digest}`];
  return [...new Set([name, ...forCri])].filter((one) => one !== given);
}

/** Whether the image has the digest that the user wrote. */
function isNamed({ target }: Image, given: string): boolean {
  const digest = parsed(given)?.digest;
  return digest === undefined || digest === target.digest;
}

/** The full name of an image that a short one stands for; undefined: it is no reference. */
export function fullName(given: string): string | undefined {
  return parsed(given)?.name;
}

function parsed(name: string): Reference | undefined {
  try {
    return parseReference(name);
  } catch {
    return undefined;
  }
}
