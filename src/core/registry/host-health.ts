import { findError } from '../errors.ts';
import type { Host } from './hosts.ts';

/** No connection came about: the next request would end in the same way. */
const DIAL_FAILURES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'CONNECT_RESET',
  'CONNECT_TIMEOUT',
  'TLS',
  'PROXY',
]);

/**
 * What has been learnt of hosts while one registry client lives (one pull): a host that could not be connected to, or
 * that sent damage, is asked after all others from then on. It is not left out: it may be the only one that has something.
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
    const code = findError(err)?.data?.code;
    if (typeof code === 'string' && DIAL_FAILURES.has(code)) this.demote(host, code);
  }

  /** The same hosts, the demoted behind the others, else in their order. */
  order(hosts: readonly Host[]): readonly Host[] {
    const demoted = (host: Host): boolean => this.#demoted.has(host.base.href);
    return [...hosts.filter((host) => !demoted(host)), ...hosts.filter(demoted)];
  }
}
