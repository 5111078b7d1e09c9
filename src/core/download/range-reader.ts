import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import { codeOf } from '../registry/failures.ts';
import { Patience, type RetryOptions } from '../registry/patience.ts';
import type { Fetcher } from '../registry/registry.ts';
import type { Served } from './served.ts';

export interface ReaderDeps {
  readonly fetcher: Fetcher;
  readonly clock: Clock;
  readonly retry?: RetryOptions | undefined;
  /** Told of all bytes that arrive, wanted or not. */
  readonly onBytes?: ((count: number) => void) | undefined;
  /** Told of a failed try before the next, from this byte. */
  readonly onRetry: (err: unknown, offset: number) => void;
}

export interface Range {
  readonly start: number;
  /** Excluded. */
  readonly end: number;
  /** Only hosts that give exactly this part will do: else FailedPrecondition (NO_RANGE). */
  readonly exact?: boolean | undefined;
}

interface Open {
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly host: string | undefined;
  /** Where the requested range ends. */
  readonly end: number;
  /** Bytes before the range that the server sends all the same. */
  skip: number;
}

/** The bytes of a blob from `start` to `end`, in order. After a failure that may pass, another request begins at the current byte. */
export class RangeReader {
  readonly #deps: ReaderDeps;
  readonly #desc: Descriptor;
  readonly #served: Served;
  readonly #signal: AbortSignal | undefined;
  readonly #patience: Patience;
  readonly #exact: boolean;
  #open: Open | undefined;
  #position: number;
  #end: number;
  /** Bytes since the last failure. */
  #gained = 0;
  /** The body before this one ended in order, but too early. */
  #endedEarly = false;

  constructor(deps: ReaderDeps, desc: Descriptor, served: Served, range: Range, call: Call) {
    this.#deps = deps;
    this.#desc = desc;
    this.#served = served;
    this.#signal = call.signal;
    this.#patience = new Patience(deps.clock, deps.retry, true);
    this.#position = range.start;
    this.#end = range.end;
    this.#exact = range.exact ?? false;
  }

  get position(): number {
    return this.#position;
  }

  get end(): number {
    return this.#end;
  }

  /** Moves the end forward, at most to the current position. */
  shorten(end: number): void {
    this.#end = Math.max(this.#position, Math.min(this.#end, end));
  }

  /** Undefined at the end. A range to the blob's end also gives bytes that the server sends beyond: they are wrong. */
  async read(): Promise<Uint8Array | undefined> {
    while (this.#position < this.#end) {
      try {
        const chunk = await this.#next();
        if (chunk !== undefined) return chunk;
      } catch (err) {
        await this.#failed(err);
      }
    }
    return await this.#rest();
  }

  /** Sends the request, once. */
  async open(): Promise<void> {
    this.#open = await this.#request();
  }

  async #request(): Promise<Open> {
    const { fetcher } = this.#deps;
    const { last: avoid, validator } = this.#served;
    const fetched = await fetcher.fetch(this.#desc, {
      offset: this.#position,
      end: this.#exact ? this.#end : undefined,
      avoid,
      validator,
      signal: this.#signal,
    });
    this.#served.note(fetched);
    const skip = this.#position - fetched.offset;
    return { reader: fetched.body.getReader(), host: fetched.host, end: this.#end, skip };
  }

  async close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.reader.cancel().catch(() => {});
  }

  async #next(): Promise<Uint8Array | undefined> {
    this.#open ??= await this.#request();
    const open = this.#open;
    const { done, value } = await open.reader.read();
    if (done) throw this.#tooEarly(open);
    this.#deps.onBytes?.(value.length);
    if (open.skip >= value.length) {
      open.skip -= value.length;
      return undefined;
    }
    const wanted = open.skip > 0 ? value.subarray(open.skip) : value;
    open.skip = 0;
    this.#endedEarly = false;
    const room = this.#end - this.#position;
    const chunk = this.#isWhole() ? wanted : wanted.subarray(0, room);
    this.#position += chunk.length;
    this.#gained += chunk.length;
    return chunk;
  }

  /** The range ends with the blob: too many bytes are passed on, for the ingest to refuse. */
  #isWhole(): boolean {
    return !this.#exact && this.#end >= this.#desc.size;
  }

  async #failed(err: unknown): Promise<void> {
    const host = this.#open?.host;
    await this.close();
    // A lost connection has many reasons; one that brings nothing speaks against its host.
    if (host !== undefined && (this.#gained === 0 || codeOf(err) !== 'UNEXPECTED_END'))
      this.#served.avoid.add(host);
    else if (host !== undefined) this.#served.noteCut(host);
    const gained = this.#gained;
    this.#gained = 0;
    this.#signal?.throwIfAborted();
    const wait = this.#patience.next(err, gained);
    this.#deps.onRetry(err, this.#position);
    await this.#deps.clock.sleep(wait, this.#signal);
  }

  /**
   * The first time a connection may have been lost in silence. A host that has no more the second time is asked after all others; when
   * such a host answers again, none has more.
   */
  #tooEarly({ host }: Open): HawserError {
    const { digest, size } = this.#desc;
    const isLast = host === undefined || this.#served.avoid.has(host);
    if (this.#endedEarly && this.#gained === 0 && isLast) {
      return new HawserError(
        'Unavailable',
        `The registry has only ${this.#position} of the ${size} bytes of ${digest}`,
        {
          hint: 'The registry, or a cache before it, has less of the blob than the manifest says',
          reason: { type: 'exchange', code: 'SHORT' },
        },
      );
    }
    this.#endedEarly = true;
    if (host !== undefined) this.#served.endedEarly.add(host);
    return new HawserError(
      'Unavailable',
      `The body of ${digest} ended after ${this.#position} of ${size} bytes`,
      {
        reason: { type: 'exchange', code: 'UNEXPECTED_END' },
      },
    );
  }

  /** Reads the body's end, so that its connection can be used again. */
  async #rest(): Promise<Uint8Array | undefined> {
    const open = this.#open;
    if (open?.end === this.#end && open.end === this.#position) {
      try {
        const { done, value } = await open.reader.read();
        if (!done && this.#isWhole()) {
          this.#position += value.length;
          return value;
        }
      } catch {
        // All bytes are here.
        this.#signal?.throwIfAborted();
      }
    }
    await this.close();
    return undefined;
  }
}
