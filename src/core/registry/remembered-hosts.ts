import { SingleFlight } from '../async/single-flight.ts';
import type { Clock } from '../ports/clock.ts';
import type { ProxyChoice } from '../ports/transport.ts';
import { defaultHosts, type Host, type HostList, type Hosts, type SchemeOptions } from './hosts.ts';
import type { HostSummary, Observe } from './observe.ts';
import { safeUrl } from './redact.ts';

export interface HostsOptions extends SchemeOptions {
  readonly hosts?: Hosts | undefined;
  readonly proxy?: ProxyChoice | undefined;
  readonly memory?: number | undefined;
  readonly limits?: { readonly connect?: number | undefined } | undefined;
}

/** Milliseconds to connect to a host that is not the last, unless a limit is set: 30 s is long for a dead mirror. */
const MIRROR_DIAL_TIMEOUT = 5_000;

/** Looks the hosts of each namespace up once (once in `memory` milliseconds), and reports them. */
export function rememberedHosts(options: HostsOptions, clock: Clock, observe: Observe): Hosts {
  const look = options.hosts ?? defaultHosts(options);
  const known = new Map<string, { readonly list: HostList; readonly since: number }>();
  const { memory = Number.POSITIVE_INFINITY } = options;
  const flights = new SingleFlight<HostList>();
  return async (reference, { signal }) => {
    const kept = known.get(reference.host);
    if (kept !== undefined && clock.monotonic() - kept.since < memory) return kept.list;
    return await flights.run(reference.host, signal, async (shared) => {
      const found = await look(reference, { signal: shared });
      const list = { ...found, hosts: found.hosts.map((host, at) => impatient(host, at, found, options)) };
      known.set(reference.host, { list, since: clock.monotonic() });
      const hosts = list.hosts.map((host) => summary(host, options));
      observe({ type: 'hosts', namespace: reference.host, source: list.source, hosts });
      return list;
    });
  };
}

function impatient(host: Host, at: number, { hosts }: HostList, { limits }: HostsOptions): Host {
  const chosen = host.dialTimeout !== undefined || limits?.connect !== undefined;
  return chosen || at === hosts.length - 1 ? host : { ...host, dialTimeout: MIRROR_DIAL_TIMEOUT };
}

function summary(host: Host, { proxy, tls }: HostsOptions): HostSummary {
  const through = proxy?.(host.base);
  return {
    url: safeUrl(host.base),
    capabilities: host.capabilities,
    mirror: host.namespace !== undefined,
    proxy: through === undefined ? undefined : through.origin,
    skipVerify: host.tls?.skipVerify ?? tls?.skipVerify ?? false,
    clientCertificate: (host.tls?.cert ?? tls?.cert) !== undefined,
    headers: Object.keys(host.headers ?? {}),
  };
}
