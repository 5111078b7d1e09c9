/** The speed of bodies: a least speed for each, and a greatest for all together. */

import { linkAbort } from '../async/abort.ts';
import { byteStream } from '../async/byte-stream.ts';
import { HawserError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { BodySource, HttpRequest, HttpResponse } from '../ports/transport.ts';
import type { Layer } from './layers.ts';
import { safeUrl } from './redact.ts';

export interface FlowOptions {
  /** Bytes a second over `window` milliseconds of waiting for bytes: less is DeadlineExceeded (TOO_SLOW). 0: no limit. */
  readonly minSpeed: number;
  readonly window: number;
  /** Shared by all bodies that keep to the limit together. */
  readonly limit?: RateLimit | undefined;
}

/** Watches the speed of answers' bodies, and limits all bodies. Only time of waiting for the network counts, not the reader's time. */
export function flow(options: FlowOptions, clock: Clock): Layer {
  if (options.minSpeed === 0 && options.limit === undefined) return (next) => next;
  return (next) => async (request) => {
    const response = await next(limited(request, options.limit));
    const speed = new Speed(options, response);
    const reader = response.body.getReader();
    const stop = new AbortController();
    const unlink = linkAbort(request.signal, stop);
    const pull = async (): Promise<Uint8Array | undefined> => {
      const began = clock.monotonic();
      const { done, value } = await reader.read();
      if (done) return undefined;
      const slow = speed.add(value.length, clock.monotonic() - began);
      if (slow !== undefined) {
        await reader.cancel(slow).catch(() => {});
        throw slow;
      }
      await options.limit?.take(value.length, stop.signal);
      return value;
    };
    const cancel = async (reason: unknown): Promise<void> => {
      stop.abort(reason);
      await reader.cancel(reason);
    };
    return { ...response, body: byteStream({ next: pull, cancel, close: unlink }) };
  };
}

/** A body that is read while it is sent keeps to the limit, too. */
function limited(request: HttpRequest, limit: RateLimit | undefined): HttpRequest {
  const { body, signal } = request;
  if (limit === undefined || body === undefined || body instanceof Uint8Array) return request;
  async function* slowly(source: BodySource, rate: RateLimit): AsyncGenerator<Uint8Array> {
    for await (const bytes of source.open()) {
      await rate.take(bytes.length, signal);
      yield bytes;
    }
  }
  return { ...request, body: { length: body.length, open: () => slowly(body, limit) } };
}

class Speed {
  readonly #options: FlowOptions;
  readonly #response: HttpResponse;
  #bytes = 0;
  #waited = 0;

  constructor(options: FlowOptions, response: HttpResponse) {
    this.#options = options;
    this.#response = response;
  }

  /** The error, when a window of waiting has passed with too little. */
  add(bytes: number, waited: number): HawserError | undefined {
    const { minSpeed, window } = this.#options;
    this.#bytes += bytes;
    this.#waited += waited;
    if (this.#waited < window) return undefined;
    const got = (this.#bytes * 1000) / this.#waited;
    this.#bytes = this.#waited = 0;
    if (got >= minSpeed) return undefined;
    return new HawserError(
      'DeadlineExceeded',
      `GET ${safeUrl(this.#response.url)}: the body came too slowly: ${Math.floor(got)} bytes a second`,
      {
        reason: { type: 'exchange', code: 'TOO_SLOW' },
        hint: `Less than ${minSpeed} bytes a second is taken for a dead connection; --min-speed says otherwise`,
      },
    );
  }
}

/** Milliseconds. Shorter sleeps are added up, as timers are too coarse. */
const SLACK = 10;

/** InvalidArgument for a rate at which nothing would ever pass. */
export function checkRate(rate: number | undefined): void {
  if (rate === undefined || (rate > 0 && Number.isFinite(rate))) return;
  throw new HawserError('InvalidArgument', `Cannot use limitRate: ${rate} is no number of bytes above 0`, {
    hint: 'Leave the option away for no limit',
  });
}

/** A budget of bytes a second for all who take from it, first come first served. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #perMs: number;
  /** When the bytes taken so far will be paid for. */
  #paid: number;

  /** `rate`: bytes a second, at least 1. InvalidArgument for one that lets nothing pass. */
  constructor(clock: Clock, rate: number) {
    checkRate(rate);
    this.#clock = clock;
    this.#perMs = Math.max(1, rate) / 1000;
    this.#paid = clock.monotonic();
  }

  /** Resolves when `bytes` may pass. */
  async take(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const now = this.#clock.monotonic();
    this.#paid = Math.max(this.#paid, now) + bytes / this.#perMs;
    const wait = this.#paid - now;
    if (wait > SLACK) await this.#clock.sleep(wait, signal);
  }
}
