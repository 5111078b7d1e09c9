/** Type and length of the content of an answer, or of the content that an answer to HEAD describes. */
import type { HttpResponse } from '../ports/transport.ts';
import { encodingsOf } from './encoding.ts';
import { printable } from './redact.ts';

export function isSuccess(response: HttpResponse): boolean {
  return response.status >= 200 && response.status <= 299;
}

/** Content-Type without parameters, in lower case. */
export function typeOf(response: HttpResponse): string {
  const type = (response.headers.get('content-type') ?? '').split(';')[0] ?? '';
  return printable(type, 255).toLowerCase();
}

/** Content-Length: bytes on the wire. */
export function lengthOf(response: HttpResponse): number | undefined {
  const text = response.headers.get('content-length') ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Bytes of the content; undefined where the answer is encoded. */
export function contentLength(response: HttpResponse): number | undefined {
  return encodingsOf(response).length > 0 ? undefined : lengthOf(response);
}
