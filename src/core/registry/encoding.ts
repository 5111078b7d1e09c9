import { HawserError } from '../errors.ts';
import type { HttpResponse } from '../ports/transport.ts';
import { discard } from './body.ts';
import { printable, safeUrl } from './redact.ts';

/**
 * Digests, sizes and ranges are those of the content itself. An answer that is encoded though identity was asked for is
 * Unavailable (`data.code` CONTENT_ENCODING), and its body is ended.
 */
export async function checkIdentity(response: HttpResponse): Promise<void> {
  const field = response.headers.get('content-encoding') ?? '';
  const encodings = field.split(',').map((one) => one.trim().toLowerCase());
  if (encodings.every((one) => one === '' || one === 'identity')) return;
  await discard(response.body);
  throw new HawserError(
    'Unavailable',
    `GET ${safeUrl(response.url)}: the server sent it with content encoding "${printable(field, 100)}", though identity was asked for`,
    {
      hint: 'The registry, or a proxy before it, changes content on its way',
      data: { code: 'CONTENT_ENCODING' },
    },
  );
}
