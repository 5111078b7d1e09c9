import { findError, HawserError, messageOf } from '../errors.ts';
import type { HttpResponse } from '../ports/transport.ts';
import { discard } from './body.ts';
import { printable, safeUrl } from './redact.ts';

const DECODABLE: Readonly<Record<string, 'gzip' | 'deflate'>> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
};

/** What an answer is encoded with beyond what identity means, outermost last. */
export function encodingsOf(response: HttpResponse): string[] {
  const field = response.headers.get('content-encoding') ?? '';
  const encodings = field.split(',').map((one) => one.trim().toLowerCase());
  return encodings.filter((one) => one !== '' && one !== 'identity');
}

/**
 * The content itself: digests, sizes and ranges are of nothing else. Identity is asked for; a server, or a proxy before
 * it, that encodes all the same with gzip or deflate is put up with, for a whole body. Any other encoding, and two at
 * once: Unavailable (`data.code` CONTENT_ENCODING), with the body ended.
 */
export async function decoded(response: HttpResponse): Promise<ReadableStream<Uint8Array>> {
  const encodings = encodingsOf(response);
  const [only = ''] = encodings;
  if (encodings.length === 0) return response.body;
  const format = encodings.length === 1 ? DECODABLE[only] : undefined;
  if (format === undefined) {
    await discard(response.body);
    const field = printable(encodings.join(', '), 100);
    throw misencoded(
      response,
      `the server sent it with content encoding "${field}", though identity was asked for`,
    );
  }
  const decoder = new DecompressionStream(format) as TransformStream<Uint8Array, Uint8Array>;
  return failing(response.body.pipeThrough(decoder), (err) =>
    findError(err) === undefined
      ? misencoded(response, `its ${format} encoding is broken: ${messageOf(err)}`)
      : err,
  );
}

function misencoded(response: HttpResponse, what: string): HawserError {
  return new HawserError('Unavailable', `GET ${safeUrl(response.url)}: ${what}`, {
    hint: 'The registry, or a proxy before it, changes content on its way',
    data: { code: 'CONTENT_ENCODING' },
  });
}

/** The same bytes, with other errors. */
function failing(
  body: ReadableStream<Uint8Array>,
  name: (err: unknown) => unknown,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(out) {
        try {
          const { done, value } = await reader.read();
          if (done) out.close();
          else out.enqueue(value);
        } catch (err) {
          throw name(err);
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
