/** hawser/bundle.json lists every blob of the images, also the layers that the archive leaves out because the other side has them. */
import { HawserError } from '../errors.ts';
import { type Digest, digestBytes, isDigest } from '../oci/digest.ts';
import { arrayField, asObject, asString, at, stringField } from '../oci/fields.ts';
import { parseJson } from '../oci/json.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { PlannedBlob, PlannedExport } from './export-plan.ts';

export const BUNDLE = 'hawser/bundle.json';
export const MAX_BUNDLE: number = 16 << 20;
const MAX_BLOBS = 100_000;

/** What the other side of a gap has, as it was told. */
export interface Have {
  /** Names the set: that of its digests. */
  readonly id: Digest;
  readonly digests: ReadonlySet<string>;
}

/** SHA-256 of the digests, sorted, each with a newline. */
export function idOf(digests: Iterable<string>, hashers: Hashers): Digest {
  const lines = [...new Set(digests)].sort().map((digest) => `${digest}\n`);
  return digestBytes(new TextEncoder().encode(lines.join('')), hashers);
}

/** `blobs`: of the whole; `lacks`: those that are left out. */
export function bundleJson(
  planned: readonly PlannedExport[],
  blobs: readonly PlannedBlob[],
  have: readonly Have[],
  isLeftOut: (blob: PlannedBlob) => boolean,
  hashers: Hashers,
): Uint8Array {
  const kinds = new Map<string, string>();
  for (const { blobs } of planned)
    for (const [kind, list] of Object.entries(blobs))
      for (const { desc } of list) kinds.set(desc.digest, kind.slice(0, -1));
  const bundle = {
    v: 1,
    id: idOf(
      blobs.map(({ desc }) => desc.digest),
      hashers,
    ),
    base: have.filter(({ digests }) => digests.size > 0).map(({ id }) => id),
    images: planned.map(({ name, target: { digest, mediaType, size } }) => ({
      name,
      target: digest,
      mediaType,
      size,
    })),
    blobs: blobs.map((blob) => ({
      digest: blob.desc.digest,
      size: blob.desc.size,
      in: !isLeftOut(blob),
      kind: kinds.get(blob.desc.digest) === 'indexe' ? 'index' : kinds.get(blob.desc.digest),
    })),
  };
  return new TextEncoder().encode(JSON.stringify(bundle));
}

export interface Bundle {
  readonly id: string;
  /** Ids of the sets that it builds upon. */
  readonly base: readonly string[];
  readonly digests: readonly string[];
}

/** InvalidArgument for one that does not fit its id. What it says of blobs is advice: documents and bytes decide. */
export function parseBundle(bytes: Uint8Array, hashers: Hashers): Bundle {
  const where = `${BUNDLE}:`;
  const from = asObject(parseJson(bytes, BUNDLE), where);
  const digests = arrayField(from, 'blobs', where, MAX_BLOBS, (value, path) =>
    asString(asObject(value, path).digest, at(path, 'digest')),
  );
  const id = stringField(from, 'id', where) ?? '';
  const base = arrayField(from, 'base', where, MAX_BLOBS, asString) ?? [];
  const all = (digests ?? []).filter(isDigest);
  if (id !== idOf(all, hashers))
    throw new HawserError('InvalidArgument', `${BUNDLE} does not fit its id: it was damaged or changed`);
  return { id, base: base.filter(isDigest), digests: all };
}
