import type { Fetched, Validator } from '../registry/registry.ts';

/** Lost connections of a host after which the others are asked first: a node that leaves may give less and less for a long time. */
const MANY_CUTS = 3;

/** Knowledge about the hosts of one blob while the blob is fetched. */
export class Served {
  /** Hosts that gave bytes. */
  readonly hosts: Set<string> = new Set();
  /** Hosts whose body ended in order, but too early. */
  readonly endedEarly: Set<string> = new Set();
  /** Hosts that failed. */
  readonly avoid: Set<string> = new Set();
  readonly #cuts = new Map<string, number>();
  /** Bytes of several hosts or requests did not fit together: they are mixed as little as possible. */
  distrusted = false;
  #validator: Validator | undefined;

  get validator(): Validator | undefined {
    return this.distrusted ? undefined : this.#validator;
  }

  note({ host, etag }: Fetched): void {
    if (host === undefined) return;
    this.hosts.add(host);
    if (etag !== undefined) this.#validator ??= { host, etag };
  }

  /** A connection was lost after it had brought something. */
  noteCut(host: string): void {
    this.#cuts.set(host, (this.#cuts.get(host) ?? 0) + 1);
  }

  /** Hosts to ask after all others, those with many lost connections among them. */
  get last(): ReadonlySet<string> {
    const often = [...this.#cuts].flatMap(([host, count]) => (count >= MANY_CUTS ? [host] : []));
    return often.length === 0 ? this.avoid : new Set([...this.avoid, ...often]);
  }

  /** The hosts that wrong bytes are likely from: those that had less than all, else all that gave bytes. */
  get suspects(): ReadonlySet<string> {
    return this.endedEarly.size > 0 ? this.endedEarly : this.hosts;
  }

  /** The bytes were wrong: the next try asks other hosts where there are any. */
  distrust(): void {
    this.distrusted = true;
    for (const host of this.suspects) this.avoid.add(host);
    this.hosts.clear();
    this.endedEarly.clear();
  }
}
