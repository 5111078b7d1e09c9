/** One upload at a registry (distribution-spec, "Pushing blobs"). */
import { cleanupSignal } from '../async/abort.ts';
import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { BodySource, HttpResponse } from '../ports/transport.ts';
import { digestOf, isSuccess, singleHeader } from '../registry/answer.ts';
import { discard } from '../registry/body.ts';
import { isRetryable, statusOf } from '../registry/failures.ts';
import { safeUrl } from '../registry/redact.ts';
import type { RepositoryWriter, WriteRequest } from '../registry/registry.ts';
import { hasBlob, isReceipt, NO_REGISTRY, notStored } from './receipt.ts';

const OCTETS = { 'content-type': 'application/octet-stream' };
const NOTHING: Uint8Array = new Uint8Array();

/** Where a blob's bytes go. The registry gives the URL, and a new one with each answer: none is ever put together here. */
export class UploadSession {
  readonly #writer: RepositoryWriter;
  readonly #desc: Descriptor;
  #url: URL;
  /** Bytes that a part must have, the last excepted. */
  readonly minChunk: number;

  private constructor(writer: RepositoryWriter, desc: Descriptor, url: URL, minChunk: number) {
    this.#writer = writer;
    this.#desc = desc;
    this.#url = url;
    this.minChunk = minChunk;
  }

  /** `from`: a repository of the same host to take the blob from. `mounted`: the registry has taken it from there. */
  static async start(
    writer: RepositoryWriter,
    desc: Descriptor,
    from: string | undefined,
    call: Call,
  ): Promise<UploadSession | 'mounted'> {
    const algorithm = algorithmOf(desc.digest);
    const url = writer.url('blobs/uploads/', {
      ...(from === undefined ? {} : { mount: desc.digest, from }),
      ...(algorithm === 'sha256' ? {} : { 'digest-algorithm': algorithm }),
    });
    const request = { method: 'POST', url, body: NOTHING } as const;
    const response = await writer.send(request, call);
    if (response.status === 201 && from !== undefined) {
      await discard(response.body);
      checkDigest(desc, response);
      if (digestOf(response) !== undefined || (await hasBlob(writer, desc, call))) return 'mounted';
      return await UploadSession.start(writer, desc, undefined, call);
    }
    if (response.status !== 202) throw await refused(writer, request, response, desc);
    await discard(response.body);
    const session = await writer.location(response, call);
    if (session === undefined) throw noLocation(response);
    const least = singleHeader(response, 'oci-chunk-min-length') ?? '';
    return new UploadSession(writer, desc, session, /^\d{1,12}$/.test(least) ? Number(least) : 0);
  }

  /** The whole blob in one request. */
  async sendWhole(body: BodySource, call: Call): Promise<void> {
    await this.#finish(body.length === 0 ? NOTHING : body, OCTETS, call);
  }

  /** The bytes from `start` on; how many bytes the registry has then. */
  async sendPart(start: number, body: BodySource, call: Call): Promise<number> {
    const end = start + body.length;
    const headers = { ...OCTETS, 'content-range': `${start}-${end - 1}` };
    const request = { method: 'PATCH', url: this.#url, headers, body } as const;
    const response = await this.#writer.send(request, call);
    // Some registries answer 201 or 204 where 202 is to be.
    if (!isSuccess(response)) throw await refused(this.#writer, request, response, this.#desc);
    await discard(response.body);
    this.#url = (await this.#writer.location(response, call)) ?? this.#url;
    return positionOf(response) ?? end;
  }

  /** Ends an upload in parts. */
  async finish(call: Call): Promise<void> {
    await this.#finish(NOTHING, {}, call);
  }

  async #finish(body: BodySource | Uint8Array, headers: WriteRequest['headers'], call: Call): Promise<void> {
    const url = new URL(this.#url);
    // Added as text: other parameters stay as the registry wrote them.
    const digest = `digest=${encodeURIComponent(this.#desc.digest)}`;
    url.search = url.search === '' ? digest : `${url.search}&${digest}`;
    const request = { method: 'PUT', url, headers, body } as const;
    const response = await this.#writer.send(request, call);
    if (!isSuccess(response)) throw await refused(this.#writer, request, response, this.#desc);
    await discard(response.body);
    checkDigest(this.#desc, response);
    if (!isReceipt(response) && !(await hasBlob(this.#writer, this.#desc, call)))
      throw notStored('PUT', response, this.#desc);
  }

  /** How many bytes the registry has; undefined when it has forgotten the upload, or does not say. A failure that may pass is thrown. */
  async position(call: Call): Promise<number | undefined> {
    const request = { method: 'GET', url: this.#url } as const;
    const response = await this.#writer.send(request, call);
    if (!isSuccess(response)) {
      const err = await this.#writer.refusal(request, response);
      if (isRetryable(err)) throw err;
      return undefined;
    }
    await discard(response.body);
    this.#url = (await this.#writer.location(response, call)) ?? this.#url;
    return positionOf(response);
  }

  /** Lets the registry forget what was sent. Never fails: the registry forgets by itself, too. */
  async cancel(): Promise<void> {
    try {
      const response = await this.#writer.send(
        { method: 'DELETE', url: this.#url },
        { signal: cleanupSignal() },
      );
      await discard(response.body);
    } catch {
      // Nobody can do more.
    }
  }
}

/** `Range: 0-N`. Distribution says `0-0` of an upload without bytes, too: such are taken for none. */
function positionOf(response: HttpResponse): number | undefined {
  const [, last] = /^(?:bytes=)?0-(\d{1,15})$/.exec(singleHeader(response, 'range') ?? '') ?? [];
  if (last === undefined) return undefined;
  return last === '0' ? 0 : Number(last) + 1;
}

/** DataLoss when the registry says that it has stored something else. */
export function checkDigest({ digest }: Pick<Descriptor, 'digest'>, response: HttpResponse): void {
  const stored = digestOf(response);
  if (stored === undefined || stored.split(':')[0] !== digest.split(':')[0] || stored === digest) return;
  throw new HawserError('DataLoss', `${safeUrl(response.url)} has stored ${stored}, not ${digest}`, {
    hint: 'The registry, or something before it, changes what is pushed: whoever runs it can tell',
    reason: { type: 'mismatch', expected: digest, actual: stored },
  });
}

async function refused(
  writer: RepositoryWriter,
  request: WriteRequest,
  response: HttpResponse,
  { digest, size }: Descriptor,
): Promise<HawserError> {
  const err = await writer.refusal(request, response);
  const message = `Cannot push ${digest} of ${size} bytes: ${err.message}`;
  return new HawserError(err.kind, message, {
    hint: hintOf(err, request, response),
    cause: err,
    reason: err.reason,
  });
}

/** Sizes of parts, as --chunk-size takes them. */
const PARTS = [
  ['50M', 50 << 20],
  ['10M', 10 << 20],
  ['1M', 1 << 20],
  ['100k', 100 << 10],
] as const;

function hintOf(err: HawserError, { body }: WriteRequest, response: HttpResponse): string | undefined {
  if (isSuccess(response)) return NO_REGISTRY;
  if (statusOf(err) !== 413) return err.hint;
  const [less] = PARTS.find(([, size]) => size < (body?.length ?? 0)) ?? [];
  const advice = less === undefined ? '' : `; --chunk-size ${less} sends blobs in smaller parts`;
  return `The registry, or a proxy before it, takes no body of this size: whoever runs it can allow more${advice}`;
}

function noLocation(response: HttpResponse): HawserError {
  return new HawserError(
    'FailedPrecondition',
    `POST ${safeUrl(response.url)}: the answer does not say where to upload`,
    { hint: 'Is this really a registry? A proxy may have taken the Location away' },
  );
}
