/** Finds the signatures of one manifest or index, in either format, each asked for once, within limits. Nothing is checked here. */
import { HawserError, isKind } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { parseManifest } from '../oci/documents.ts';
import { type JsonObject, parseJson } from '../oci/json.ts';
import { isManifestType } from '../oci/media-types.ts';
import { attachmentTag, BUNDLE_TYPE, SIMPLE_SIGNING, saidOf } from '../oci/signatures.ts';
import type { Call } from '../ports/call.ts';
import { useless } from '../ports/signatures.ts';
import type { Evidence } from './evidence.ts';
import { asMap } from './strict.ts';

/** Bytes of the manifest at cosign's tag, and of a bundle's manifest. */
export const MAX_MANIFEST: number = 1024 * 1024;
export const MAX_SIGNATURES = 64;
/** Bytes. */
export const MAX_PAYLOAD: number = 64 * 1024;
/** Bundles that do not say that they are attestations. */
export const MAX_BUNDLES = 32;
/** Manifests of bundles that are read to find out what the bundles say that they are, where a list does not tell. */
export const MAX_ASKED = 128;
/** Bytes. */
export const MAX_BUNDLE: number = 256 * 1024;

/** A signature of cosign's old form. */
export interface Attachment {
  readonly payload: Uint8Array;
  readonly annotations: Readonly<Record<string, string>>;
}

/** One place where a signature may be: reading it fails for that one alone. */
export interface Candidate<T> {
  /** The manifest that the signature came in. */
  readonly document: Digest;
  read(call: Call): Promise<T>;
}

export interface Candidates {
  attachments(call: Call): Promise<readonly Candidate<Attachment>[]>;
  bundles(call: Call): Promise<readonly Candidate<JsonObject>[]>;
}

/** Asks and reads once, however many requirements want to know. After a failure the next one asks again. */
function once<T>(work: (call: Call) => Promise<T>): (call: Call) => Promise<T> {
  let done: Promise<T> | undefined;
  return async (call) => {
    done ??= work(call);
    try {
      return await done;
    } catch (err) {
      done = undefined;
      throw err;
    }
  };
}

export function candidatesOf(evidence: Evidence, digest: Digest): Candidates {
  return {
    attachments: once((call) => attachments(evidence, digest, call)),
    bundles: once((call) => bundles(evidence, digest, call)),
  };
}

async function attachments(
  evidence: Evidence,
  digest: Digest,
  call: Call,
): Promise<readonly Candidate<Attachment>[]> {
  const tag = attachmentTag(digest, 'sig');
  const found: Candidate<Attachment>[] = [];
  for (const { desc, bytes } of await evidence.tagged(tag, MAX_MANIFEST, call)) {
    if (!isManifestType(desc.mediaType)) throw useless(`what is at ${tag} is no manifest of signatures`);
    for (const layer of parseManifest(bytes, desc).layers)
      found.push({ document: desc.digest, read: once((own) => attachment(evidence, layer, own)) });
  }
  checkCount(found.length, MAX_SIGNATURES, 'signatures');
  return found;
}

/** An image with more is refused, wherever the good one may be: whoever can push could hide it behind any number. */
function checkCount(count: number, limit: number, what: string): void {
  if (count > limit)
    throw new HawserError('ResourceExhausted', `there are ${count} ${what}, more than ${limit}`);
}

async function attachment(evidence: Evidence, layer: Descriptor, call: Call): Promise<Attachment> {
  if (layer.mediaType !== SIMPLE_SIGNING) throw useless('is of another media type');
  return { payload: await evidence.read(layer, MAX_PAYLOAD, call), annotations: layer.annotations ?? {} };
}

async function bundles(
  evidence: Evidence,
  digest: Digest,
  call: Call,
): Promise<readonly Candidate<JsonObject>[]> {
  const all = await evidence.referrers(digest, BUNDLE_TYPE, call);
  const found = all.filter(({ artifactType }) => artifactType === BUNDLE_TYPE);
  const { likely, attestations } = await sorted(evidence, found, call);
  return [...likely, ...attestations].map((desc, at) => ({
    document: desc.digest,
    read: once((own) =>
      at < MAX_BUNDLES ? bundle(evidence, digest, desc, own) : Promise.reject(useless(ATTESTS)),
    ),
  }));
}

const ATTESTS = 'says that it is an attestation, not a signature';

/** What says that it is an attestation goes behind the rest, and counts to no limit: an image may have many. */
async function sorted(
  evidence: Evidence,
  found: readonly Descriptor[],
  call: Call,
): Promise<{ readonly likely: readonly Descriptor[]; readonly attestations: readonly Descriptor[] }> {
  const saying = (said: ReturnType<typeof saidOf>) => found.filter((one) => saidOf(one) === said);
  const [likely, silent, attestations] = [saying('signature'), saying(undefined), saying('attestation')];
  let asked = 0;
  const failures: unknown[] = [];
  for (const desc of silent) {
    const isEnough = likely.length + silent.length - asked <= MAX_BUNDLES;
    if (isEnough || likely.length > MAX_BUNDLES || asked === MAX_ASKED) break;
    asked++;
    const said = await saidByManifest(evidence, desc, failures, call);
    (said === 'attestation' ? attestations : likely).push(desc);
  }
  likely.push(...silent.slice(asked));
  // Those that could not be read may all be attestations.
  if (likely.length > MAX_BUNDLES && failures.length > 0) throw failures[0];
  checkCount(likely.length, MAX_BUNDLES, 'bundles');
  return { likely, attestations };
}

/** Undefined also where the manifest cannot be had: the judge tells why. `failures` gets what the registry failed with. */
async function saidByManifest(evidence: Evidence, desc: Descriptor, failures: unknown[], call: Call) {
  try {
    if (!isManifestType(desc.mediaType)) return undefined;
    return saidOf(parseManifest(await evidence.read(desc, MAX_MANIFEST, call), desc));
  } catch (err) {
    call.signal?.throwIfAborted();
    // Whoever writes the list may name what is nowhere.
    if (isFailureToLook(err) && !isKind(err, 'NotFound')) failures.push(err);
    return undefined;
  }
}

async function bundle(evidence: Evidence, digest: Digest, desc: Descriptor, call: Call): Promise<JsonObject> {
  if (!isManifestType(desc.mediaType)) throw useless('is listed as no manifest');
  const { subject, layers } = parseManifest(await evidence.read(desc, MAX_MANIFEST, call), desc);
  const [layer, ...others] = layers;
  if (subject?.digest !== digest || layer === undefined || others.length > 0)
    throw useless('refers to something else');
  const bytes = await evidence.read(layer, MAX_BUNDLE, call);
  return asMap(parseJson(bytes, 'the bundle'), 'the bundle') as JsonObject;
}

/** What the registry says of itself, and not of a signature. */
export function isFailureToLook(err: unknown): boolean {
  return !isKind(err, 'PermissionDenied', 'InvalidArgument', 'DataLoss', 'ResourceExhausted');
}
