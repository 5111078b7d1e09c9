/** Leases of a server that brings content for others: content stays for a time after it was last asked for. */
import { Limiter } from '../async/limiter.ts';
import { isKind } from '../errors.ts';
import type { Lease, Leases } from '../leases/lease-store.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';

/** Leases of one server that are alive at once. */
const PERIODS = 8;
/** Digests remembered as held by the newest lease. */
const MAX_REMEMBERED = 100_000;

export class HeldLeases {
  readonly #leases: Leases;
  readonly #clock: Clock;
  readonly #keep: number;
  readonly #turn = new Limiter(1);
  readonly #held = new Set<string>();
  #lease: { readonly id: string; readonly since: number } | undefined;

  /** `keep`: milliseconds. */
  constructor(leases: Leases, clock: Clock, keep: number) {
    this.#leases = leases;
    this.#clock = clock;
    this.#keep = keep;
  }

  /** Holds a blob, be it here or on its way; the id of the lease. */
  async hold(digest: Digest, call: Call): Promise<string> {
    return await this.#turn.run(call.signal, async () => {
      const lease = await this.#newest(call);
      if (this.#held.has(digest)) return lease;
      try {
        await this.#leases.add(lease, { type: 'content', id: digest }, call);
      } catch (err) {
        if (!isKind(err, 'NotFound')) throw err;
        // Somebody has deleted the lease.
        this.#lease = undefined;
        await this.#leases.add(await this.#newest(call), { type: 'content', id: digest }, call);
      }
      if (this.#held.size >= MAX_REMEMBERED) this.#held.clear();
      this.#held.add(digest);
      return this.#lease?.id ?? lease;
    });
  }

  async #newest(call: Call): Promise<string> {
    const now = this.#clock.monotonic();
    const period = this.#keep / PERIODS;
    if (this.#lease !== undefined && now - this.#lease.since < period) return this.#lease.id;
    const lease: Lease = await this.#leases.create({ expiresIn: this.#keep + period, ...call });
    this.#lease = { id: lease.id, since: now };
    this.#held.clear();
    return lease.id;
  }
}
