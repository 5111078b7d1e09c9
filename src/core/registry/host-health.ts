import { failedConnection } from './failures.ts';
import type { Host } from './hosts.ts';

/**
 * The health of hosts as one registry client (one pull) saw it: a host that could not be connected to, or that sent damage, is
 * asked after all others from then on. Such a host is not left out, for it may be the only one that has something.
 */
export class HostHealth {
  readonly #demoted = new Map<string, string>();

  /** Why the host is asked last; undefined while it is trusted. */
  demotedFor(host: Host): string | undefined {
    return this.#demoted.get(host.base.href);
  }

  demote(host: Pick<Host, 'base'>, why: string): void {
    if (!this.#demoted.has(host.base.href)) this.#demoted.set(host.base.href, why);
  }

  /** Demotes for a failure to connect; other errors say nothing about the next request. */
  note(host: Host, err: unknown): void {
    const code = failedConnection(err);
    if (code !== undefined) this.demote(host, code);
  }

  /** The same hosts, the demoted behind the others, else in their order. */
  order(hosts: readonly Host[]): readonly Host[] {
    const demoted = (host: Host): boolean => this.#demoted.has(host.base.href);
    return [...hosts.filter((host) => !demoted(host)), ...hosts.filter(demoted)];
  }
}
