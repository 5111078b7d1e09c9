/** images.lock: which digest each image of a list had, as JSON. */
import { HawserError } from '../errors.ts';
import { type Digest, parseDigest } from '../oci/digest.ts';
import { parseReference } from '../reference/parse.ts';
import type { Reference } from '../reference/reference.ts';
import { isMapping, type Mapping, textOf } from './fields.ts';
import type { ListBuilder } from './list.ts';

/** Raised when a member is removed or changes its meaning; not for new members. */
const VERSION = 1;

/** An image of a lock. */
export interface Locked {
  /** The full name, with its tag. */
  readonly ref: string;
  /** Of the manifest or index that the tag named. */
  readonly digest: string;
  readonly mediaType: string;
  /** Bytes of that document. */
  readonly size: number;
  /** The manifest of each platform that was asked for. A pull of the lock takes these platforms. */
  readonly platforms?: Readonly<Record<string, string>> | undefined;
}

/** The text of a lock: sorted by name, the same for the same images. */
export function lockText(images: readonly Locked[]): string {
  const sorted = [...images].sort((a, b) => (a.ref < b.ref ? -1 : 1));
  return `${JSON.stringify({ v: VERSION, type: 'lock', images: sorted }, undefined, 2)}\n`;
}

export function isLock(document: unknown): document is Mapping {
  return isMapping(document) && typeof document.v === 'number' && Array.isArray(document.images);
}

/** Each image with its digest, to be recorded under its tag. */
export function addLock(list: ListBuilder, { v, images }: Mapping, at: string): void {
  if (v !== VERSION) {
    list.refuse(
      at,
      `this is a lock of version ${String(v)}`,
      'A newer hawser made the lock, and can read it',
    );
    return;
  }
  for (const [index, image] of (images as readonly unknown[]).entries()) {
    const place = `${at}, image ${index + 1}`;
    try {
      const { ref, digest, platforms } = isMapping(image) ? image : {};
      const reference = pinned(parseReference(textOf(ref) ?? ''), parseDigest(textOf(digest) ?? ''));
      const names = isMapping(platforms) ? Object.keys(platforms) : [];
      list.put({ reference, platforms: names.length > 0 ? names : undefined, at: place });
    } catch (err) {
      list.fail(place, err);
    }
  }
}

/** InvalidArgument where the name itself has another digest: the image would be recorded under a name that lies. */
function pinned(reference: Reference, digest: Digest): Reference {
  if (reference.digest === undefined || reference.digest === digest) return { ...reference, digest };
  throw new HawserError('InvalidArgument', `the digest of ${reference.name} is another: ${digest}`, {
    hint: 'The lock was damaged or changed: make it again with hawser lock',
  });
}
