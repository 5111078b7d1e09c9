/** A file at a URL that a user named, read from its start. Where a connection is lost, the next request goes on at the current byte. */
import { byteStream } from '../async/byte-stream.ts';
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { HttpResponse, Transport } from '../ports/transport.ts';
import { contentLength, singleHeader } from './answer.ts';
import { discard } from './body.ts';
import { parseContentRange } from './content-range.ts';
import { Patience, type RetryOptions } from './patience.ts';
import { safeUrl } from './redact.ts';
import { statusError } from './status.ts';

export interface UrlDeps {
  readonly clock: Clock;
  readonly userAgent: string;
  /** Follows redirects. */
  readonly transport: Transport;
  readonly retry?: RetryOptions | undefined;
  readonly onWait: (milliseconds: number, err: unknown) => void;
}

/**
 * The bytes of the file, not verified. NotFound, DataLoss (the file has changed meanwhile), and the errors of a registry. Nothing is asked
 * before the first read.
 */
export function readUrl(deps: UrlDeps, url: URL, { signal }: Call): ReadableStream<Uint8Array> {
  const stop = new AbortController();
  const reader = new UrlReader(deps, url, stop.signal);
  return byteStream({
    next: () => reader.next(),
    cancel: (reason) => stop.abort(reason),
    close: () => reader.close(),
    signal,
  });
}

class UrlReader {
  readonly #deps: UrlDeps;
  readonly #url: URL;
  readonly #signal: AbortSignal;
  readonly #patience: Patience;
  #body: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #position = 0;
  /** Bytes before the position that the server sends all the same. */
  #skip = 0;
  #gained = 0;
  /** What the first answer said of the file. */
  #file: { readonly size: number | undefined; readonly etag: string | undefined } | undefined;

  constructor(deps: UrlDeps, url: URL, signal: AbortSignal) {
    this.#deps = deps;
    this.#url = url;
    this.#signal = signal;
    this.#patience = new Patience(deps.clock, deps.retry);
  }

  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      try {
        const chunk = await this.#read();
        if (chunk === undefined || chunk.length > 0) return chunk;
      } catch (err) {
        await this.close();
        this.#signal.throwIfAborted();
        const wait = this.#patience.next(err, this.#gained);
        this.#gained = 0;
        this.#deps.onWait(wait, err);
        await this.#deps.clock.sleep(wait, this.#signal);
      }
    }
  }

  async close(): Promise<void> {
    const body = this.#body;
    this.#body = undefined;
    await body?.cancel().catch(() => {});
  }

  /** Undefined at the end of the file; no bytes where they were here before. */
  async #read(): Promise<Uint8Array | undefined> {
    this.#body ??= (await this.#open()).getReader();
    const { done, value } = await this.#body.read();
    const size = this.#file?.size;
    if (done) {
      if (size === undefined || this.#position >= size) return undefined;
      throw this.#endedEarly(size);
    }
    const chunk = value.subarray(Math.min(this.#skip, value.length));
    this.#skip -= value.length - chunk.length;
    this.#position += chunk.length;
    this.#gained += chunk.length;
    return chunk;
  }

  async #open(): Promise<ReadableStream<Uint8Array>> {
    const etag = this.#file?.etag;
    const range = { range: `bytes=${this.#position}-`, ...(etag === undefined ? {} : { 'if-range': etag }) };
    const response = await this.#deps.transport({
      method: 'GET',
      url: this.#url,
      headers: {
        accept: '*/*',
        'accept-encoding': 'identity',
        'user-agent': this.#deps.userAgent,
        ...(this.#position === 0 ? {} : range),
      },
      signal: this.#signal,
    });
    this.#patience.reached();
    if (response.status === 206 && this.#position > 0) return await this.#part(response);
    if (response.status === 200) return await this.#whole(response);
    const gone = response.status === 416 || response.status === 206;
    throw gone ? await this.#changed(response) : await this.#refusal(response);
  }

  async #part(response: HttpResponse): Promise<ReadableStream<Uint8Array>> {
    const range = parseContentRange(singleHeader(response, 'content-range'));
    const isOther =
      range?.total !== undefined && this.#file?.size !== undefined && range.total !== this.#file.size;
    if (range?.start !== this.#position || isOther || !this.#isSame(response))
      throw await this.#changed(response);
    this.#skip = 0;
    return response.body;
  }

  async #whole(response: HttpResponse): Promise<ReadableStream<Uint8Array>> {
    const size = contentLength(response);
    if (this.#file === undefined) this.#file = { size, etag: etagOf(response) };
    else if (size !== this.#file.size || !this.#isSame(response)) throw await this.#changed(response);
    this.#skip = this.#position;
    return response.body;
  }

  #isSame(response: HttpResponse): boolean {
    const etag = etagOf(response);
    return etag === undefined || this.#file?.etag === undefined || etag === this.#file.etag;
  }

  async #refusal(response: HttpResponse): Promise<HawserError> {
    const err = await statusError({ method: 'GET' }, response, this.#deps.clock.now());
    await discard(response.body);
    if (err.kind !== 'NotFound') return err;
    return new HawserError(err.kind, err.message, { hint: 'Check the URL', reason: err.reason, cause: err });
  }

  async #changed(response: HttpResponse): Promise<HawserError> {
    await discard(response.body);
    return new HawserError(
      'DataLoss',
      `${safeUrl(this.#url)} has changed, or its server gives another part of it`,
      {
        hint: 'Run the command again, when the file does not change any more',
      },
    );
  }

  #endedEarly(size: number): HawserError {
    return new HawserError(
      'Unavailable',
      `GET ${safeUrl(this.#url)}: the connection was lost after ${this.#position} of ${size} bytes`,
      { reason: { type: 'exchange', code: 'UNEXPECTED_END' } },
    );
  }
}

/** A strong validator (RFC 9110 8.8.3). */
function etagOf(response: HttpResponse): string | undefined {
  const etag = singleHeader(response, 'etag') ?? '';
  return /^"[\x21\x23-\x7e]{1,256}"$/.test(etag) ? etag : undefined;
}
