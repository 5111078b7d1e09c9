/** Decisions and events of a registry client as data, for `resolve --explain` and the like. Nothing here is secret. */
import type { Report } from '../progress/events.ts';
import type { Capability, Operation } from './hosts.ts';
import type { TraceEvent } from './trace.ts';

/** A host of the list with the settings for its requests. */
export interface HostSummary {
  /** Without user and password: `https://mirror.test:5000/v2`. */
  readonly url: string;
  /** What the host may be asked for. */
  readonly capabilities: readonly Capability[];
  /** Stands in for another registry (and is sent `ns`). */
  readonly mirror: boolean;
  /** The proxy's URL without user and password; undefined: directly. */
  readonly proxy: string | undefined;
  /** TLS certificates of this host are not checked. */
  readonly skipVerify: boolean;
  /** A client certificate is configured for this host. */
  readonly clientCertificate: boolean;
  /** Names of the headers that the configuration adds. */
  readonly headers: readonly string[];
}

/** What a registry client did or decided. */
export type RegistryEvent =
  /** Once for each namespace. `source`: a hosts.toml, a certs.d directory, or `default`. */
  | {
      readonly type: 'hosts';
      readonly namespace: string;
      readonly source: string;
      readonly hosts: readonly HostSummary[];
    }
  /** Once for each host that asked for one. `source`: `--user`, a file, a helper; undefined: none was found. */
  | { readonly type: 'credential'; readonly host: string; readonly source: string | undefined }
  /** A host was passed over without being asked, or is asked after the others. */
  | {
      readonly type: 'passed';
      readonly operation: Operation;
      readonly url: string;
      readonly reason: string;
    }
  /** A host was asked, by one or more requests. With `reason` it was left for the next one, or was the last. */
  | {
      readonly type: 'attempt';
      readonly operation: Operation;
      /** The host's, as in `HostSummary`. */
      readonly url: string;
      /** `docker.io/library/alpine:3`, or the digest that was wanted. */
      readonly object: string;
      readonly reason?: string | undefined;
      /** Of the answer that refused. */
      readonly status?: number | undefined;
      /** `ECONNREFUSED`, `TLS`, the registry's own (`MANIFEST_UNKNOWN`). */
      readonly code?: string | undefined;
      readonly milliseconds: number;
    }
  /** One exchange: hops of redirects and token requests too. */
  | ({ readonly type: 'request' } & TraceEvent)
  /** Requests wait. `reason`: `asked by <host>` (Retry-After; `askedBy` is the host), or the failure that is tried again. */
  | {
      readonly type: 'wait';
      readonly reason: string;
      readonly milliseconds: number;
      readonly askedBy?: string | undefined;
    }
  /**
   * For people: something in the configuration that has no effect or may surprise, or `<host> says: <text>`, what a registry
   * wants its users to know (Warning: 299), once.
   */
  | { readonly type: 'warning'; readonly message: string };

/** Gets the events of one client, in order, as they happen. Should return at once, and must not throw. */
export type Observe = (event: RegistryEvent) => void;

/** Reports the events that users of a transfer see. */
export function reporting(report: Report | undefined): Observe {
  return (event) => {
    if (event.type === 'wait') report?.({ ...event, type: 'waiting' });
    if (event.type === 'warning') report?.(event);
  };
}
