/** Manifests and indexes, as the bytes that they are. */
import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { documentType } from '../oci/documents.ts';
import { isIndexType } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import { acceptOf } from '../registry/accept.ts';
import { contentLength, digestOf, isSuccess, singleHeader } from '../registry/answer.ts';
import { discard } from '../registry/body.ts';
import { codeOf, statusOf } from '../registry/failures.ts';
import type { RepositoryWriter } from '../registry/registry.ts';
import { isReceipt, notStored } from './receipt.ts';
import { checkDigest } from './upload-session.ts';

export interface Document {
  readonly desc: Descriptor;
  readonly bytes: Uint8Array;
}

/**
 * Whether the repository has the manifest, and, for a tag, whether the tag names it. False where the registry does not tell: by the digest,
 * or, of what was asked for by its digest, by the length.
 */
export async function hasManifest(
  writer: RepositoryWriter,
  desc: Descriptor,
  object: string,
  call: Call,
): Promise<boolean> {
  return (await whatIsAt(writer, desc, object, call)) === 'same';
}

/** `other`: another manifest, or something of which the registry does not tell enough. */
export async function whatIsAt(
  writer: RepositoryWriter,
  { mediaType, digest, size }: Descriptor,
  object: string,
  call: Call,
): Promise<'same' | 'other' | 'nothing'> {
  const request = {
    method: 'HEAD',
    url: writer.url(`manifests/${object}`),
    headers: acceptOf('manifests', mediaType),
  } as const;
  return await writer.insist(call, async () => {
    const response = await writer.send(request, call);
    if (singleHeader(response, 'retry-after') !== undefined) throw await writer.refusal(request, response);
    await discard(response.body);
    if (!isSuccess(response)) return response.status === 404 ? 'nothing' : 'other';
    const told = digestOf(response);
    const isSame =
      told === digest || (told === undefined && object === digest && contentLength(response) === size);
    return isSame ? 'same' : 'other';
  });
}

export interface PutOptions {
  /** A tag or the digest. */
  readonly object: string;
  /** The index lists what is neither here nor, as far as is known, at the registry. */
  readonly isSparse?: boolean | undefined;
  /** Headers that make the request conditional: the registry answers 412 where the document has changed meanwhile. */
  readonly condition?: Readonly<Record<string, string>> | undefined;
}

/** The subject that the registry has taken note of (OCI-Subject); undefined: none. FailedPrecondition for what the registry refuses. */
export async function putManifest(
  writer: RepositoryWriter,
  { desc, bytes }: Document,
  { object, isSparse = false, condition = {} }: PutOptions,
  call: Call,
): Promise<string | undefined> {
  const headers = {
    'content-type': documentType(bytes, desc.mediaType) ?? desc.mediaType,
    ...condition,
  };
  const request = { method: 'PUT', url: writer.url(`manifests/${object}`), headers, body: bytes } as const;
  const response = await writer.insist(call, async () => {
    const answer = await writer.send(request, call);
    if (!isSuccess(answer)) throw explained(await writer.refusal(request, answer), desc, isSparse);
    await discard(answer.body);
    return answer;
  });
  checkDigest(desc, response);
  if (!isReceipt(response) && !(await hasManifest(writer, desc, object, call)))
    throw notStored('PUT', response, desc);
  return singleHeader(response, 'oci-subject');
}

/** By the codes of registries for what the document names and they lack (crane's answers 404). */
const LACKS: ReadonlySet<string> = new Set(['MANIFEST_BLOB_UNKNOWN', 'BLOB_UNKNOWN', 'MANIFEST_UNKNOWN']);

function explained(
  err: HawserError,
  { digest, mediaType, size }: Descriptor,
  isSparse: boolean,
): HawserError {
  const isIndex = isIndexType(mediaType);
  const lacks = LACKS.has(codeOf(err) ?? '') || statusOf(err) === 404;
  const what = isIndex ? 'the index' : 'the manifest';
  return new HawserError(err.kind, `Cannot push ${what} ${digest}: ${err.message}`, {
    hint: lacks
      ? lackHint(isIndex, isSparse)
      : statusOf(err) === 413
        ? `The registry takes no document of ${size} bytes: whoever runs it can tell`
        : err.hint,
    cause: err,
    reason: err.reason,
  });
}

function lackHint(isIndex: boolean, isSparse: boolean): string {
  if (isIndex && isSparse)
    return 'This registry does not take an index with absent platforms: fetch them all (hawser content fetch --all-platforms REF), or push what is here with --index flat or --index rewrite, under another digest';
  return 'The registry has lost, or cannot see yet, something that was sent to it: a second push sends what is missing; layers that are not to be distributed go along with --allow-non-distributable-blobs';
}
