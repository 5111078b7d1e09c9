/** The headers of an answer, as far as they are usable. */
import { type Digest, parseDigest } from '../oci/digest.ts';
import type { HttpResponse } from '../ports/transport.ts';
import { encodingsOf } from './encoding.ts';
import { printable } from './redact.ts';

export function isSuccess({ status }: Pick<HttpResponse, 'status'>): boolean {
  return status >= 200 && status <= 299;
}

/** Most equal copies of a field that count as one. */
const MAX_COPIES = 8;

/**
 * A header with a single value; undefined when absent or empty. Transports join repeated fields by a comma (RFC 9110 5.3): equal
 * copies are one. Other lists are returned as they are, and no parser of a single value takes them.
 */
export function singleHeader({ headers }: Pick<HttpResponse, 'headers'>, name: string): string | undefined {
  const text = headers.get(name)?.trim() ?? '';
  for (let copies = 2; copies <= MAX_COPIES; copies++) {
    const length = (text.length - 2 * (copies - 1)) / copies;
    if (length < 1 || !Number.isInteger(length)) continue;
    const one = text.slice(0, length);
    if (Array.from({ length: copies }, () => one).join(', ') === text) return one.trim();
  }
  return text === '' ? undefined : text;
}

/** Content-Type without parameters, in lower case; '' where it is absent or no media type. */
export function typeOf(response: HttpResponse): string {
  const type = (singleHeader(response, 'content-type') ?? '').split(';')[0]?.trim() ?? '';
  return /^[^\s,/]+\/[^\s,/]+$/.test(type) ? printable(type, 255).toLowerCase() : '';
}

/** Content-Length: bytes on the wire. */
export function lengthOf(response: HttpResponse): number | undefined {
  const text = singleHeader(response, 'content-length') ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Bytes of the content; undefined where the answer is encoded. */
export function contentLength(response: HttpResponse): number | undefined {
  return encodingsOf(response).length > 0 ? undefined : lengthOf(response);
}

/** Docker-Content-Digest, which is optional (distribution-spec): undefined where it is unusable. */
export function digestOf(response: HttpResponse): Digest | undefined {
  try {
    return parseDigest(singleHeader(response, 'docker-content-digest') ?? '');
  } catch {
    return undefined;
  }
}
