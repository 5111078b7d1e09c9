/** Leases of a server that brings content for others: content stays for a time after it was last asked for. */
import { Limiter } from '../async/limiter.ts';
import { isKind } from '../errors.ts';
import type { Lease, Leases } from '../leases/lease-store.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';

/** Leases of one server that are alive at once. */
const PERIODS = 8;
/** Milliseconds for which the newest lease is trusted to be there. */
const TRUSTED = 10_000;
/** Digests remembered as held by the newest lease. */
const MAX_REMEMBERED = 100_000;

interface Newest {
  readonly id: string;
  /** By both clocks: whether the lease has expired is for the one that may jump. */
  readonly since: number;
  readonly sinceTime: number;
  /** When something was last added to it. */
  seen: number;
}

export class HeldLeases {
  readonly #leases: Leases;
  readonly #clock: Clock;
  readonly #keep: number;
  readonly #turn = new Limiter(1);
  readonly #held = new Set<string>();
  #lease: Newest | undefined;

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
      const isTrusted = this.#clock.monotonic() - lease.seen < TRUSTED;
      if (isTrusted && this.#held.has(digest)) return lease.id;
      const id = await this.#add(lease, digest, call);
      if (this.#held.size >= MAX_REMEMBERED) this.#held.clear();
      this.#held.add(digest);
      return id;
    });
  }

  /** Whether the lease is gone: somebody has deleted it, or time has. The next one is new then. */
  async isLost(id: string, call: Call): Promise<boolean> {
    if ((await this.#leases.list(call)).some((lease) => lease.id === id)) return false;
    if (this.#lease?.id === id) this.#lease = undefined;
    return true;
  }

  async #add(lease: Newest, digest: Digest, call: Call): Promise<string> {
    const resource = { type: 'content', id: digest };
    try {
      await this.#leases.add(lease.id, resource, call);
      lease.seen = this.#clock.monotonic();
      return lease.id;
    } catch (err) {
      if (!isKind(err, 'NotFound')) throw err;
      this.#lease = undefined;
      const { id } = await this.#newest(call);
      await this.#leases.add(id, resource, call);
      return id;
    }
  }

  async #newest(call: Call): Promise<Newest> {
    const [now, time] = [this.#clock.monotonic(), this.#clock.now()];
    const period = this.#keep / PERIODS;
    const isNew = (age: number): boolean => age >= 0 && age < period;
    const known = this.#lease;
    if (known !== undefined && isNew(now - known.since) && isNew(time - known.sinceTime)) return known;
    const { id }: Lease = await this.#leases.create({ expiresIn: this.#keep + period, ...call });
    const lease = { id, since: now, sinceTime: time, seen: now };
    this.#lease = lease;
    this.#held.clear();
    return lease;
  }
}
