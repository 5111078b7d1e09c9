import type { Provider } from '../content/content-store.ts';
import { isKind, messageOf } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { SoundThings } from './report.ts';

/** Milliseconds: shorter pauses are added up. */
const SLACK = 10;

export interface BlobOptions {
  /** Bytes a second. Not given: no limit. */
  readonly rate?: number | undefined;
  /** Bytes read since the last time. */
  readonly onBytes: (bytes: number) => void;
  /** What is known of blobs before and after. */
  readonly known?: Map<Digest, string | undefined> | undefined;
  readonly sound?: SoundThings | undefined;
}

/** Hashes stored blobs, each once, at a rate. Nothing is dropped or written. */
export class BlobChecks {
  readonly #content: Provider;
  readonly #clock: Pick<Clock, 'monotonic' | 'sleep'>;
  readonly #rate: number;
  readonly #onBytes: (bytes: number) => void;
  readonly #known: Map<Digest, string | undefined>;
  readonly #sound: SoundThings | undefined;
  #paid: number;
  /** Blobs that were known to be sound. */
  resumed = 0;

  constructor(
    content: Provider,
    clock: Pick<Clock, 'monotonic' | 'sleep'>,
    { rate = 0, onBytes, known = new Map(), sound }: BlobOptions,
  ) {
    this.#content = content;
    this.#clock = clock;
    this.#rate = rate;
    this.#onBytes = onBytes;
    this.#known = known;
    this.#sound = sound;
    this.#paid = clock.monotonic();
  }

  /** What is wrong with the bytes of a recorded blob; undefined when nothing is. */
  async problem(digest: Digest, call: Call): Promise<string | undefined> {
    if (!this.#known.has(digest)) {
      const isSound = this.#sound?.has(digest) === true;
      if (isSound) this.resumed++;
      const found = isSound ? undefined : await this.#read(digest, call);
      this.#known.set(digest, found);
      if (found === undefined && !isSound) await this.#sound?.add(digest);
    }
    return this.#known.get(digest);
  }

  /** The same by another look. */
  async again(digest: Digest, call: Call): Promise<string | undefined> {
    this.#known.delete(digest);
    return await this.problem(digest, call);
  }

  async #read(digest: Digest, call: Call): Promise<string | undefined> {
    try {
      for await (const chunk of await this.#content.open(digest, call)) await this.#take(chunk.length, call);
      return undefined;
    } catch (err) {
      call.signal?.throwIfAborted();
      if (isKind(err, 'Canceled', 'DeadlineExceeded', 'Unavailable', 'PermissionDenied')) throw err;
      return messageOf(err);
    }
  }

  async #take(bytes: number, { signal }: Call): Promise<void> {
    this.#onBytes(bytes);
    if (this.#rate === 0) return;
    const now = this.#clock.monotonic();
    this.#paid = Math.max(this.#paid, now) + (bytes * 1000) / this.#rate;
    if (this.#paid - now > SLACK) await this.#clock.sleep(this.#paid - now, signal);
  }
}
