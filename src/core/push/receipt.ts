/** What shows that a registry has what was sent: any web server answers 200. */
import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { HttpResponse } from '../ports/transport.ts';
import { contentLength, digestOf, isSuccess, singleHeader } from '../registry/answer.ts';
import { discard } from '../registry/body.ts';
import { safeUrl } from '../registry/redact.ts';
import type { RepositoryWriter } from '../registry/registry.ts';

export const NO_REGISTRY =
  'This is no registry, or something before it answers in its place: check the name, and the proxy if there is one';

/** Whether the answer says of itself that something was stored: 201 (distribution-spec), or the digest. */
export function isReceipt(response: HttpResponse): boolean {
  return response.status === 201 || digestOf(response) !== undefined;
}

/**
 * Whether the repository has the blob: 2xx, and the length is the blob's. Some registries refuse HEAD to those who may only push: false where
 * the registry does not tell.
 */
export async function hasBlob(
  writer: RepositoryWriter,
  { digest, size }: Descriptor,
  call: Call,
): Promise<boolean> {
  const request = { method: 'HEAD', url: writer.url(`blobs/${digest}`) } as const;
  const response = await writer.send(request, call);
  if (singleHeader(response, 'retry-after') !== undefined) throw await writer.refusal(request, response);
  await discard(response.body);
  return isSuccess(response) && contentLength(response) === size;
}

/** An answer of success, after which the registry does not have what was sent. */
export function notStored(
  method: string,
  { status, url }: HttpResponse,
  { digest }: Descriptor,
): HawserError {
  return new HawserError(
    'FailedPrecondition',
    `Cannot push ${digest}: ${method} ${safeUrl(url)} was answered with ${status}, and it is not there`,
    { hint: NO_REGISTRY },
  );
}
