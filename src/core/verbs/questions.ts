/** Questions of a server's clients to registries: each asked once for all who ask the same, few in work, some waiting, more are refused. */
import { Limiter } from '../async/limiter.ts';
import { SingleFlight } from '../async/single-flight.ts';
import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Reference } from '../reference/reference.ts';

/** In work at one registry, and in work or waiting. A document in work may have 8 MiB in memory. */
const AT_ONCE = 6;
const MAX_ASKED = 128;

export class Questions {
  readonly roots: SingleFlight<Descriptor> = new SingleFlight();
  readonly documents: SingleFlight<void> = new SingleFlight();
  readonly sizes: SingleFlight<number> = new SingleFlight();
  readonly tags: SingleFlight<readonly string[]> = new SingleFlight();
  readonly referrers: SingleFlight<readonly Descriptor[]> = new SingleFlight();
  /** By registry: one that hangs is in nobody else's way. */
  readonly #lines: ReadonlyMap<string, { readonly slots: Limiter; asked: number }>;

  constructor(hosts: ReadonlySet<string>) {
    this.#lines = new Map([...hosts].map((host) => [host, { slots: new Limiter(AT_ONCE), asked: 0 }]));
  }

  /** `flights`: one of this object's. Unavailable (`busy`) where too many wait. */
  async ask<T>(
    flights: SingleFlight<T>,
    { host, name }: Reference,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const line = this.#lines.get(host);
    if (line === undefined) throw new HawserError('Internal', `${host} may not be asked`);
    return await flights.run(name, signal, async (shared) => {
      if (line.asked >= MAX_ASKED) throw busy(`Cannot ask ${host}: ${MAX_ASKED} questions are in work`);
      line.asked++;
      try {
        return await line.slots.run(shared, () => work(shared));
      } finally {
        line.asked--;
      }
    });
  }
}

export function busy(message: string): HawserError {
  return new HawserError('Unavailable', message, { reason: { type: 'busy' } });
}
