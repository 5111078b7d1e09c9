import type { Fetched, Validator } from '../registry/registry.ts';

/** Knowledge about the hosts of one blob while the blob is fetched. */
export class Served {
  /** Hosts that gave bytes. */
  readonly hosts: Set<string> = new Set();
  /** Hosts whose body ended in order, but too early. */
  readonly endedEarly: Set<string> = new Set();
  /** Hosts to ask after all others. */
  readonly avoid: Set<string> = new Set();
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
