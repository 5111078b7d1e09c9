/** The list of what refers to a manifest, for registries that keep none (distribution-spec, "Referrers Tag Schema"). */
import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { digestBytes } from '../oci/digest.ts';
import { documentType, MAX_MANIFEST_BYTES, parseIndex } from '../oci/documents.ts';
import { type JsonObject, parseJson } from '../oci/json.ts';
import { isIndexType, OCI_INDEX } from '../oci/media-types.ts';
import { parseReferrer } from '../oci/referrer.ts';
import type { Call } from '../ports/call.ts';
import type { Hashers } from '../ports/hashers.ts';
import { acceptOf } from '../registry/accept.ts';
import { isSuccess, singleHeader, typeOf } from '../registry/answer.ts';
import { discard, readCapped } from '../registry/body.ts';
import { statusOf } from '../registry/failures.ts';
import { referrersTag } from '../registry/referrers-tag.ts';
import type { RepositoryWriter } from '../registry/registry.ts';
import { type Document, putManifest } from './put-manifest.ts';

/** How often the list is read again because somebody else has changed it. */
const MAX_TRIES = 5;

interface Listed {
  readonly index: JsonObject;
  readonly digests: ReadonlySet<string>;
  /** The condition under which the list is still the one that was read (RFC 9110 13.1); none where the registry gives no strong ETag. */
  readonly ifSame: Readonly<Record<string, string>>;
}

/** Adds the document, which refers to `subject`, to the list under the subject's tag. */
export async function listUnderTag(
  { writer, hashers }: { readonly writer: RepositoryWriter; readonly hashers: Hashers },
  document: Document,
  subject: Digest,
  call: Call,
): Promise<void> {
  const tag = referrersTag(subject);
  for (let left = MAX_TRIES; ; left--) {
    const { index, digests, ifSame } = await listed(writer, tag, call);
    if (digests.has(document.desc.digest)) return;
    const manifests = [...((index.manifests ?? []) as readonly JsonObject[]), entryOf(document)];
    const bytes = new TextEncoder().encode(JSON.stringify({ ...index, manifests }));
    const desc = { mediaType: OCI_INDEX, digest: digestBytes(bytes, hashers), size: bytes.length };
    try {
      await putManifest(writer, { desc, bytes }, { object: tag, condition: ifSame }, call);
      return;
    } catch (err) {
      if (statusOf(err) !== 412 || left <= 1) throw err;
    }
  }
}

async function listed(writer: RepositoryWriter, tag: string, call: Call): Promise<Listed> {
  const url = writer.url(`manifests/${tag}`);
  const request = { method: 'GET', url, headers: acceptOf('manifests', OCI_INDEX) } as const;
  return await writer.insist(call, async () => {
    const response = await writer.send(request, call);
    if (response.status === 404) {
      await discard(response.body);
      const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] };
      return { index, digests: new Set(), ifSame: { 'if-none-match': '*' } };
    }
    if (!isSuccess(response)) throw await writer.refusal(request, response);
    const etag = singleHeader(response, 'etag') ?? '';
    const said = typeOf(response);
    const bytes = await readCapped(response.body, MAX_MANIFEST_BYTES);
    if (bytes === undefined || !isIndexType(documentType(bytes, said) ?? '')) throw notAList(tag);
    const desc = { mediaType: OCI_INDEX, digest: tag as Digest, size: bytes.length };
    const { manifests } = parseIndex(bytes, desc);
    // If-Match takes strong ones only: a weak one never matches.
    const ifSame = /^"[^"]*"$/.test(etag) ? { 'if-match': etag } : {};
    const index = parseJson(bytes, `the index ${tag}`) as JsonObject;
    return { index, digests: new Set(manifests.map(({ digest }) => digest)), ifSame };
  });
}

/** As the API of registries lists it: with its artifact type and all its annotations. */
function entryOf({ desc, bytes }: Document): JsonObject {
  const { artifactType, annotations } = parseReferrer(bytes, desc) ?? {};
  const { mediaType, digest, size }: Descriptor = desc;
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined || Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}

function notAList(tag: string): HawserError {
  return new HawserError(
    'FailedPrecondition',
    `Cannot list what refers to the image: the tag ${tag} names no index`,
    { hint: 'Something else has taken the tag, which is for the list: remove the tag at the registry' },
  );
}
