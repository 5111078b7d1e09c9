import type { IngestManager } from '../content/content-store.ts';
import { ifFound } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';

/** How often the ingest of another writer is looked at, in milliseconds. */
const INTERVAL = 200;
/** Milliseconds without progress after which the user is told. */
const TELL_AFTER = 5_000;

/** Events of following, for the user. */
export interface WriterEvents {
  /** The writer has so many bytes. */
  readonly onOffset: (offset: number) => void;
  /** Once: the writer has added nothing for `idle` milliseconds, and the blob is fetched beside it after `left` more. */
  readonly onIdle: (idle: number, left: number) => void;
}

/** Follows another process that writes a ref: it may be stopped (SIGSTOP, a frozen cgroup) without being dead. */
export class OtherWriter {
  readonly #deps: { readonly content: IngestManager; readonly clock: Clock };
  readonly #ref: string;
  readonly #digest: Digest;
  readonly #limit: number;
  readonly #events: WriterEvents;
  #offset = -1;
  /** The time of the last progress. */
  #since: number;
  #told = false;

  /** `limit`: milliseconds without progress after which the writer counts as stopped. */
  constructor(
    deps: { readonly content: IngestManager; readonly clock: Clock },
    { ref, digest }: { readonly ref: string; readonly digest: Digest },
    limit: number,
    events: WriterEvents,
  ) {
    this.#deps = deps;
    this.#ref = ref;
    this.#digest = digest;
    this.#limit = limit;
    this.#events = events;
    this.#since = deps.clock.monotonic();
  }

  /** Looks, and waits for a moment. False: the writer has stopped. */
  async follow(call: Call): Promise<boolean> {
    const { content, clock } = this.#deps;
    const status = content.inTheWay?.(this.#ref, this.#digest, call) ?? content.status(this.#ref, call);
    const offset = (await ifFound(status))?.offset ?? 0;
    this.#events.onOffset(offset);
    const now = clock.monotonic();
    if (offset !== this.#offset) this.#since = now;
    this.#offset = offset;
    const idle = now - this.#since;
    if (idle >= Math.min(TELL_AFTER, this.#limit) && !this.#told) {
      this.#told = true;
      this.#events.onIdle(idle, Math.max(0, this.#limit - idle));
    }
    if (idle >= this.#limit) return false;
    await clock.sleep(INTERVAL, call.signal);
    return true;
  }
}
