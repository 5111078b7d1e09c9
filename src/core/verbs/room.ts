/** Room on the store's disk for blobs that are fetched side by side. */
import { Limiter } from '../async/limiter.ts';
import type { Backend } from '../backend.ts';
import { refKey } from '../content/ref-key.ts';
import { HawserError, ifFound } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';

/** Bytes that stay free for what else is on the disk. */
const RESERVE = 64 << 20;

export class Room {
  readonly #backend: Pick<Backend, 'content' | 'space'>;
  readonly #turn = new Limiter(1);
  readonly #running = new Set<Descriptor>();

  constructor(backend: Pick<Backend, 'content' | 'space'>) {
    this.#backend = backend;
  }

  /**
   * Fetches the blob by `work` where what it and the others in work still lack fits into what is free: else ResourceExhausted. Where the
   * store cannot tell what is free, everything is taken to fit.
   */
  async during<T>(desc: Descriptor, call: Call, work: () => Promise<T>): Promise<T> {
    await this.#turn.run(call.signal, async () => {
      await this.#require(desc, call);
      this.#running.add(desc);
    });
    try {
      return await work();
    } finally {
      this.#running.delete(desc);
    }
  }

  async #require(desc: Descriptor, call: Call): Promise<void> {
    const free = (await this.#backend.space?.(call))?.free;
    if (free === undefined) return;
    const own = await this.#lacking(desc, call);
    let others = 0;
    const running = new Map([...this.#running].map((one) => [one.digest, one]));
    running.delete(desc.digest);
    for (const one of running.values()) others += await this.#lacking(one, call);
    if (own === 0 || own + others + RESERVE <= free) return;
    throw new HawserError(
      'ResourceExhausted',
      `Cannot fetch ${desc.digest}: ${own} bytes are to come, ${others} of other blobs, and ${free} are free; ${RESERVE} are left free`,
    );
  }

  /** Bytes that are not on the disk yet. */
  async #lacking(desc: Descriptor, call: Call): Promise<number> {
    const { content } = this.#backend;
    if ((await ifFound(content.info(desc.digest, call))) !== undefined) return 0;
    const begun = await ifFound(content.status(refKey(desc), call));
    return Math.max(0, desc.size - (begun?.offset ?? 0));
  }
}
