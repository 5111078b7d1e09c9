/** Blobs as bodies: the last bytes go out once the digest of the whole is known to hold. */
import { byteStream } from '../async/byte-stream.ts';
import { SingleFlight } from '../async/single-flight.ts';
import type { Arriving, Info, Provider } from '../content/content-store.ts';
import { hashed } from '../content/read.ts';
import { HawserError, isKind } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { RateLimit } from '../registry/flow.ts';
import type { Part } from './conditions.ts';

export interface BodyDeps {
  readonly content: Provider;
  readonly clock: Clock;
  readonly hashers: Hashers;
  /** Shared by all bodies. */
  readonly limit?: RateLimit | undefined;
  /** Told of a blob whose bytes are not those of its digest. */
  readonly onRotten: (digest: Digest, err: unknown) => void;
}

/** Bytes of a body in memory for each client. */
const CHUNK = 128 * 1024;
/** Digests remembered as sound. */
const MAX_SOUND = 100_000;
/** Milliseconds for which a rotten blob is not opened again. */
const ROTTEN_TIME = 30_000;

export class Bodies {
  readonly #deps: BodyDeps;
  /** Blobs that were hashed since the start. */
  readonly #sound = new Set<string>();
  /** Until when a rotten blob counts as absent. */
  readonly #rotten = new Map<string, number>();
  readonly #checks = new SingleFlight<void>();

  constructor(deps: BodyDeps) {
    this.#deps = deps;
  }

  /** Whether the blob was found rotten a short time ago. */
  isRotten(digest: Digest): boolean {
    const until = this.#rotten.get(digest);
    if (until === undefined) return false;
    if (until > this.#deps.clock.monotonic()) return true;
    this.#rotten.delete(digest);
    return false;
  }

  /** The blob was fetched anew. */
  mended(digest: Digest): void {
    this.#rotten.delete(digest);
  }

  /** The bytes of the blob, or of a part. A blob that is not what its digest says is never sent whole: the stream fails before its last bytes. */
  async open(
    { digest, size }: Info,
    part: Part | undefined,
    call: Call,
  ): Promise<ReadableStream<Uint8Array>> {
    const { start, end } = part ?? { start: 0, end: size - 1 };
    const whole = end - start + 1 === size;
    const source = (
      await this.#deps.content.open(digest, { ...call, offset: start, chunk: CHUNK })
    ).getReader();
    let left = end - start + 1;
    const next = async (): Promise<Uint8Array | undefined> => {
      if (left === 0) return undefined;
      const { done, value } = await source.read();
      if (done) throw new HawserError('DataLoss', `${digest} ends ${left} bytes before its end`);
      const bytes = value.length > left ? value.subarray(0, left) : value;
      left -= bytes.length;
      if (left === 0) await (whole ? this.#end(digest, source) : this.#check(digest, call));
      await this.#deps.limit?.take(bytes.length, call.signal);
      return bytes;
    };
    return byteStream({
      next: () => this.#watched(digest, next),
      cancel: (reason) => source.cancel(reason),
      close: () => source.cancel().catch(() => {}),
    });
  }

  /** The bytes of a blob that somebody is fetching, as they come; the last ones go out once the digest held. */
  follow(digest: Digest, { size, body }: Arriving, call: Call): ReadableStream<Uint8Array> {
    const source = body.getReader();
    const read = hashed(async () => (await source.read()).value, digest, this.#deps.hashers);
    let left = size;
    const next = async (): Promise<Uint8Array | undefined> => {
      if (left === 0) return undefined;
      const bytes = await read();
      if (bytes === undefined)
        throw new HawserError('DataLoss', `${digest} ends ${left} bytes before its end`);
      left -= bytes.length;
      if (left === 0) await read();
      await this.#deps.limit?.take(bytes.length, call.signal);
      return bytes;
    };
    return byteStream({
      next,
      cancel: (reason) => source.cancel(reason),
      close: () => source.cancel().catch(() => {}),
    });
  }

  /** The end of the stream of a whole blob tells whether the digest holds. */
  async #end(digest: Digest, source: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    if (!(await source.read()).done) throw new HawserError('DataLoss', `${digest} goes on after its end`);
    this.#note(digest);
  }

  async #watched<T>(digest: Digest, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (err) {
      if (isKind(err, 'DataLoss')) {
        this.#sound.delete(digest);
        this.#rotten.set(digest, this.#deps.clock.monotonic() + ROTTEN_TIME);
        this.#deps.onRotten(digest, err);
      }
      throw err;
    }
  }

  /** Hashes the whole blob, unless that was done since the start. */
  async #check(digest: Digest, call: Call): Promise<void> {
    if (this.#sound.has(digest)) return;
    await this.#checks.run(digest, call.signal, async (signal) => {
      for await (const _ of await this.#deps.content.open(digest, { signal, chunk: CHUNK }));
    });
    this.#note(digest);
  }

  #note(digest: Digest): void {
    if (this.#sound.size >= MAX_SOUND) this.#sound.clear();
    this.#sound.add(digest);
  }
}
