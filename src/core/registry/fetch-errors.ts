/** Errors for answers that are not the content that was asked for. */
import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isForeignLayer } from '../oci/media-types.ts';
import type { HttpResponse } from '../ports/transport.ts';
import { printable, safeUrl } from './redact.ts';

type From = Pick<HttpResponse, 'url'>;

export function wrongRange({ url }: From): HawserError {
  const message = `GET ${safeUrl(url)}: the server sent parts, though the whole was asked for`;
  return new HawserError('Unavailable', message, { reason: { type: 'exchange', code: 'WRONG_RANGE' } });
}

export function tooShort({ digest, size }: Descriptor, { url }: From, length: number): HawserError {
  const message = `GET ${safeUrl(url)}: the answer has ${length} of the ${size} bytes of ${digest}`;
  return new HawserError('Unavailable', message, {
    hint: 'The registry, or a cache before it, has less of the blob than the manifest says, or something else in its place',
    reason: { type: 'exchange', code: 'SHORT' },
  });
}

export function noPart({ digest }: Descriptor, url: URL): HawserError {
  const message = `${safeUrl(url)} does not give parts of blobs (${digest})`;
  return new HawserError('FailedPrecondition', message, { reason: { type: 'exchange', code: 'NO_RANGE' } });
}

export function changed({ digest }: Descriptor, { url }: From): HawserError {
  return new HawserError('DataLoss', `GET ${safeUrl(url)}: ${digest} is not what it was before`, {
    hint: 'The registry, or a cache before it, has put other content in its place',
    reason: { type: 'exchange', code: 'CHANGED' },
  });
}

/** After a 404 that `err` tells. `tried`: the URLs of foreign layers were asked before. */
export function missing(desc: Descriptor, err: HawserError, tried: boolean): HawserError {
  const what = `${desc.digest} (${printable(desc.mediaType, 255)})`;
  const { text, hint } = absence(desc, tried);
  const message = `could not fetch content descriptor ${what} from remote: not found${text}`;
  return new HawserError('NotFound', message, { hint, cause: err, reason: err.reason });
}

/** Content that an image names and its registry lacks: by its nature, or for a reason that only the registry knows. */
function absence(
  { urls = [], mediaType }: Descriptor,
  tried: boolean,
): { readonly text: string; readonly hint: string } {
  const where = urls.flatMap((url) => (URL.canParse(url) ? safeUrl(new URL(url)) : [])).slice(0, 3);
  const isForeign = isForeignLayer(mediaType);
  if (where.length === 0) {
    return isForeign
      ? {
          text: '; a foreign layer',
          hint: 'Registries need not have such layers, and the image does not say where this one is',
        }
      : {
          text: '',
          hint: 'The registry has the manifest but not this part of it: a mirror that lags, or a push that did not end',
        };
  }
  const places = where.join(', ');
  return {
    text: isForeign
      ? `; a foreign layer, which its author keeps at ${places}`
      : `; the image says that it is at ${places}`,
    hint: tried
      ? 'It was asked for there before, and could not be had'
      : 'Registries need not have such layers: --foreign-urls asks there',
  };
}
