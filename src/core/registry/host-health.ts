import type { Clock } from '../ports/clock.ts';
import { failedConnection } from './failures.ts';
import type { Host } from './hosts.ts';

/**
 * The health of hosts as one registry client saw it: a host that could not be connected to, or that sent damage, is asked after all
 * others from then on, for `memory` milliseconds. Such a host is not left out, for it may be the only one that has something.
 */
export class HostHealth {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #memory: number;
  readonly #demoted = new Map<string, { readonly why: string; readonly until: number }>();

  constructor(clock: Pick<Clock, 'monotonic'>, memory: number = Number.POSITIVE_INFINITY) {
    this.#clock = clock;
    this.#memory = memory;
  }

  /** Why the host is asked last; undefined while it is trusted. */
  demotedFor({ base }: Pick<Host, 'base'>): string | undefined {
    const found = this.#demoted.get(base.href);
    return found === undefined || this.#clock.monotonic() >= found.until ? undefined : found.why;
  }

  demote(host: Pick<Host, 'base'>, why: string): void {
    if (this.demotedFor(host) !== undefined) return;
    this.#demoted.set(host.base.href, { why, until: this.#clock.monotonic() + this.#memory });
  }

  /** Demotes for a failure to connect; other errors say nothing about the next request. */
  note(host: Host, err: unknown): void {
    const code = failedConnection(err);
    if (code !== undefined) this.demote(host, code);
  }

  /** The same hosts, the demoted behind the others, else in their order. */
  order(hosts: readonly Host[]): readonly Host[] {
    const demoted = (host: Host): boolean => this.demotedFor(host) !== undefined;
    return [...hosts.filter((host) => !demoted(host)), ...hosts.filter(demoted)];
  }
}
