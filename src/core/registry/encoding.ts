import { byteStream } from '../async/byte-stream.ts';
import { portableCodec } from '../codec/portable.ts';
import { decodedStream } from '../codec/source.ts';
import { findError, HawserError, isKind, messageOf } from '../errors.ts';
import type { HttpResponse } from '../ports/transport.ts';
import { discard } from './body.ts';
import { printable, safeUrl } from './redact.ts';

type Body = ReadableStream<Uint8Array>;

/** The portable codecs, loaded when needed: hardly any answer is encoded, and these decode little at a time on every runtime. */
const DECODERS: Readonly<Record<string, (body: Body) => Promise<Body>>> = {
  gzip: decodeGzip,
  'x-gzip': decodeGzip,
  deflate: async (body) => decodedStream(body, (await import('../codec/deflate.ts')).decodeDeflate),
  zstd: async (body) => (await portableCodec('zstd')).decode(body),
};

/** A server and a proxy before it may each add one. */
const MAX_ENCODINGS = 3;
/** Bytes. The encoding of n bytes is hardly longer than n: an input of more than 2 n and this was made to waste time. */
const MAX_OVERHEAD = 64 * 1024;

/** The content encodings of an answer but `identity`, outermost last. */
export function encodingsOf(response: HttpResponse): string[] {
  const field = response.headers.get('content-encoding') ?? '';
  const encodings = field.split(',').map((one) => one.trim().toLowerCase());
  return encodings.filter((one) => one !== '' && one !== 'identity');
}

/**
 * The content itself, of at most about `size` bytes: digests, sizes and ranges are of nothing else. Identity is asked for; a
 * server, or a proxy before it, that encodes all the same (gzip, deflate, zstd, up to three over one another) is
 * tolerated, for a whole body. Any other encoding, and input that is too long for `size`: Unavailable
 * (CONTENT_ENCODING), with the body ended. The result may be longer than `size`; the reader has to refuse it.
 */
export async function decoded(response: HttpResponse, size: number): Promise<Body> {
  const encodings = encodingsOf(response);
  if (encodings.length === 0) return response.body;
  const field = printable(encodings.join(', '), 100);
  const decoders = encodings.map((one) => (Object.hasOwn(DECODERS, one) ? DECODERS[one] : undefined));
  if (decoders.length > MAX_ENCODINGS || decoders.includes(undefined)) {
    await discard(response.body);
    throw misencoded(response, `unsupported content encoding "${field}", though identity was asked for`);
  }
  let { body } = response;
  for (const decoder of decoders.reverse()) body = (await decoder?.(limited(body, size))) ?? body;
  return failing(body, (err) => {
    const ours = isKind(err, 'DataLoss', 'ResourceExhausted') || findError(err) === undefined;
    return ours
      ? misencoded(response, `its content encoding ${field} is broken: ${messageOf(err)}`, err)
      : err;
  });
}

async function decodeGzip(body: Body): Promise<Body> {
  return (await portableCodec('gzip')).decode(body);
}

function limited(body: Body, size: number): Body {
  const limit = 2 * size + MAX_OVERHEAD;
  let length = 0;
  const counted = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, out) {
      length += chunk.length;
      if (length > limit) {
        throw new HawserError('ResourceExhausted', `more than ${limit} bytes for ${size} bytes of content`);
      }
      out.enqueue(chunk);
    },
  });
  return body.pipeThrough(counted);
}

function misencoded(response: HttpResponse, what: string, cause?: unknown): HawserError {
  return new HawserError('Unavailable', `GET ${safeUrl(response.url)}: ${what}`, {
    hint: 'The registry, or a proxy before it, changes content on its way',
    cause,
    reason: { type: 'exchange', code: 'CONTENT_ENCODING' },
  });
}

/** The same bytes, with other errors. */
function failing(body: Body, name: (err: unknown) => unknown): Body {
  const reader = body.getReader();
  const next = async (): Promise<Uint8Array | undefined> => {
    try {
      return (await reader.read()).value;
    } catch (err) {
      throw name(err);
    }
  };
  return byteStream({ next, cancel: (reason) => reader.cancel(reason) });
}
