/// <reference path="./undici-parts.d.ts" />
/** Connections for undici: their limits, the roots they trust, and the proxy that each goes through. */
import process from 'node:process';
import type { SecureContext } from 'node:tls';
import type { buildConnector as Builder, Dispatcher } from 'undici';
// Parts of undici, not its index: the index (fetch, WebSocket, caches) takes longer to load than a small image to check.
import connect from 'undici/lib/api/api-connect.js';
import buildConnector from 'undici/lib/core/connect.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import Pool from 'undici/lib/dispatcher/pool.js';
import ProxyAgent from 'undici/lib/dispatcher/proxy-agent.js';
import type { TransportOptions } from '../../core/ports/transport.ts';
import { guardedLookup, refusalOf } from './guarded-lookup.ts';
import { largeReads } from './large-reads.ts';
import { hasExtraRoots, systemRoots } from './system-roots.ts';

export const DEFAULT_HEADERS_TIMEOUT = 30_000;
export const DEFAULT_STALL = 60_000;
/** Bytes. More headers are an error. Node's default is 16 KiB, but some signed redirects need more. */
const MAX_HEADER_BYTES = 64 * 1024;
const IDLE_TIMEOUT = 30_000;

/** ProxyAgent asks its client for tunnels by `connect`, a method that only undici's index adds to pools. */
class TunnelPool extends Pool {
  override readonly connect: Dispatcher['connect'] = connect;
}

type Connector = Builder.connector;

interface TlsSettings {
  readonly ca?: string[];
  readonly cert?: string;
  readonly key?: string;
  readonly secureContext?: SecureContext;
  readonly rejectUnauthorized: boolean;
}

type Roots = Pick<TlsSettings, 'ca'>;

/** The dispatchers of one transport. */
export interface Dispatchers {
  /** The dispatcher for requests through this proxy, or directly. */
  for(proxy: URL | undefined): Dispatcher;
  destroy(): Promise<void>;
}

export function openDispatchers(options: TransportOptions): Dispatchers {
  const connectTimeout = options.connectTimeout ?? 30_000;
  const common = {
    allowH2: false,
    maxHeaderSize: MAX_HEADER_BYTES,
    connectTimeout,
    headersTimeout: options.headersTimeout ?? DEFAULT_HEADERS_TIMEOUT,
    bodyTimeout: options.stallTimeout ?? DEFAULT_STALL,
    keepAliveTimeout: IDLE_TIMEOUT,
    connections: options.connections ?? 16,
  };
  const opened = new Map<string, Dispatcher>();
  const open = (proxy: URL | undefined): Dispatcher => {
    if (proxy === undefined) return new Agent({ ...common, connect: connector(options, connectTimeout) });
    const toProxy = { rejectUnauthorized: true, ...(options.ca === undefined ? {} : { ca: options.ca }) };
    return new ProxyAgent({
      ...common,
      uri: proxy.href,
      requestTls: prepared({ ...identity(options), ...everyRoot(options) }),
      // undici speaks TLS to a SOCKS proxy that has settings for it.
      ...(proxy.protocol === 'https:' ? { proxyTls: toProxy } : {}),
      clientFactory: (origin, given) => new TunnelPool(origin, { ...common, ...given }),
      factory: (origin, given) => new Pool(origin, { ...common, ...given }),
    });
  };
  return {
    for(proxy) {
      const key = proxy?.href ?? '';
      const dispatcher = opened.get(key) ?? open(proxy);
      opened.set(key, dispatcher);
      return dispatcher;
    },
    destroy: async () => {
      await Promise.all([...opened.values()].map((one) => one.destroy()));
    },
  };
}

/** Verification is always set: where it is not, NODE_TLS_REJECT_UNAUTHORIZED turns it off. */
function identity({ cert, key, skipVerify }: TransportOptions): TlsSettings {
  return {
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    rejectUnauthorized: skipVerify !== true,
  };
}

/** Codes for a chain that ends in an unknown root. */
const UNKNOWN_ROOT: ReadonlySet<string> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
]);

/** Connects to no address that `allowAddress` refuses. */
function connector(options: TransportOptions, timeout: number): Connector {
  const { allowAddress } = options;
  const open = unguarded(options, timeout);
  if (allowAddress === undefined) return open;
  return (target, callback) => {
    const refusal = refusalOf(target.hostname, allowAddress);
    if (refusal === undefined) open(target, callback);
    else callback(refusal, null);
  };
}

/**
 * Trusts the runtime's roots, the system's and `extraCa`, or `ca` in the place of the first two. Reading the system's
 * takes 0.1 s, so they are read only when a chain is unknown without them: the same chains are accepted in the end.
 */
function unguarded(options: TransportOptions, timeout: number): Connector {
  const { allowAddress } = options;
  const guard = allowAddress === undefined ? {} : { lookup: guardedLookup(allowAddress) };
  const make = (roots: () => Roots): Connector => {
    const plain = buildConnector({ timeout, ...largeReads(), ...guard });
    let secure: Connector | undefined;
    return (target, callback) => {
      if (target.protocol !== 'https:') return plain(target, callback);
      secure ??= buildConnector({
        allowH2: false,
        ...prepared({ ...identity(options), ...roots() }),
        timeout,
        ...largeReads(),
        ...guard,
      });
      secure(target, callback);
    };
  };
  if (options.ca !== undefined) return make(() => everyRoot(options));
  const quick = make(() => (options.extraCa === undefined ? runtimeRoots() : { ca: [options.extraCa] }));
  let complete: Connector | undefined;
  return (target, callback) => {
    if (complete !== undefined) return complete(target, callback);
    quick(target, (...result) => {
      const code = (result[0] as { code?: unknown } | null)?.code;
      if (typeof code !== 'string' || !UNKNOWN_ROOT.has(code)) return callback(...result);
      complete ??= make(() => everyRoot(options));
      complete(target, callback);
    });
  };
}

/**
 * The runtime's own roots. NODE_EXTRA_CA_CERTS adds to the default store, so then the roots are named; else the default store
 * serves, which Node has parsed once for all.
 */
function runtimeRoots(): Roots {
  return hasExtraRoots() ? { ca: [...tls().rootCertificates] } : {};
}

/** Loaded for https only: Node then parses all its root certificates. */
function tls(): typeof import('node:tls') {
  return process.getBuiltinModule('node:tls');
}

/** Node would read the certificates again for each connection, 40 ms for a whole bundle. Deno keeps none from a context. */
function prepared(settings: TlsSettings): TlsSettings {
  if ('Deno' in globalThis || settings.ca === undefined) return settings;
  const { rejectUnauthorized, ...rest } = settings;
  return { secureContext: tls().createSecureContext(rest), rejectUnauthorized };
}

function everyRoot({ ca, extraCa }: TransportOptions): Roots {
  const extra = extraCa === undefined ? [] : [extraCa];
  if (ca !== undefined) return { ca: [ca, ...extra] };
  return { ca: [...tls().rootCertificates, ...systemRoots(), ...extra] };
}
