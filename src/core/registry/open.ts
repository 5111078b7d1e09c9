import { streamOf } from '../async/byte-stream.ts';
import { BoundedMap } from '../bounded-map.ts';
import { messageOf } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { ProxyChoice, TlsOptions, TransportOptions, Transports } from '../ports/transport.ts';
import type { Reference } from '../reference/reference.ts';
import { Authorizer } from './auth/authorize.ts';
import { type ClientDeps, RepositoryClient } from './client.ts';
import { Cooldowns } from './cooldown.ts';
import { CostCounter } from './cost.ts';
import type { Credentials } from './credentials/credential.ts';
import { openEvidence } from './evidence.ts';
import { fetchObject } from './fetcher.ts';
import { findObject } from './finder.ts';
import { type FlowOptions, flow, RateLimit } from './flow.ts';
import { HostHealth } from './host-health.ts';
import type { Host, Hosts } from './hosts.ts';
import { type Layer, type Layers, stack } from './layers.ts';
import { openLists } from './lists.ts';
import type { Observe } from './observe.ts';
import { DEFAULT_MIN_SPEED, DEFAULT_TIME, persist, type RetryOptions } from './patience.ts';
import { redirects } from './redirects.ts';
import type { Registry } from './registry.ts';
import { rememberedHosts } from './remembered-hosts.ts';
import { type Root, resolveRoot } from './resolver.ts';
import { type TraceEvent, tracing } from './trace.ts';
import { type ReadRoots, TransportPool } from './transport-pool.ts';
import { readUrl } from './url-file.ts';
import { RegistryWarnings } from './warnings.ts';
import { openWriter } from './writer.ts';

export type { Credential, Credentials } from './credentials/credential.ts';
export type { Host, HostList, Hosts, Operation } from './hosts.ts';
export type { HostSummary, Observe, RegistryEvent } from './observe.ts';
export type { TraceEvent } from './trace.ts';

export interface RegistryOptions {
  /** Without TLS, but for docker.io. */
  readonly plainHttp?: boolean | undefined;
  readonly tls?: TlsOptions | undefined;
  /** Read at the first request that speaks TLS: they take the place of those in `tls`. */
  readonly roots?: ReadRoots | undefined;
  readonly credentials?: Credentials | undefined;
  readonly userAgent?: string | undefined;
  /** Each exchange, redacted. */
  readonly trace?: ((event: TraceEvent) => void) | undefined;
  /** Requests and answers as lines, redacted, without the bodies of blobs. */
  readonly dump?: ((line: string) => void) | undefined;
  /** Decisions and events, as data. */
  readonly observe?: Observe | undefined;
  /** Default: no proxy. See `proxiesOf`. */
  readonly proxy?: ProxyChoice | undefined;
  /** Connections to one origin at once. */
  readonly connections?: number | undefined;
  readonly limits?: Limits | undefined;
  /** How long a question is asked again; see `Patience`. */
  readonly retry?: RetryOptions | undefined;
  /** Bytes a second that all bodies together may bring. */
  readonly limitRate?: number | undefined;
  /** Lets every registry lead (redirects, token servers, foreign URLs) to addresses of this class and more public ones. */
  readonly reach?: Host['reach'];
  /** Ask the URLs that descriptors name before the registry. */
  readonly foreignUrls?: boolean | undefined;
  /** Milliseconds after which hosts are looked up again, and those that failed are trusted again. Default: when the client ends. */
  readonly memory?: number | undefined;
  /** Where to ask. Default: the registry that the reference names. */
  readonly hosts?: Hosts | undefined;
  /** The outermost layer of requests to registries, such as retries. */
  readonly around?: Layer | undefined;
}

/** In milliseconds, each with a default. */
export interface Limits {
  /** To connect, TLS included. */
  readonly connect?: number | undefined;
  /** From the request to the headers of the answer. */
  readonly headers?: number | undefined;
  /** Between bytes of a body. */
  readonly stall?: number | undefined;
  /** Bytes a second of a body, over `window`. A slower body is requested again from its position. 0: any speed will do. */
  readonly minSpeed?: number | undefined;
  /** Over how many milliseconds the speed is measured. */
  readonly window?: number | undefined;
}

const USER_AGENT = 'hawser';
const SPEED_WINDOW = 30_000;
/** Roots of which the endpoint is remembered. */
const MAX_KINDS = 10_000;

/**
 * A client of registries: resolves references and fetches content. Tokens and connections are shared by all of its
 * repositories and end with the client, as does the knowledge of hosts that are down. Errors: Unauthenticated and
 * PermissionDenied (`pull access denied`), NotFound, Unavailable and DeadlineExceeded (see `isRetryable`),
 * ResourceExhausted (caps), FailedPrecondition (refused redirects), InvalidArgument (configuration).
 */
export function openRegistry(
  deps: { readonly transports: Transports; readonly clock: Clock },
  options: RegistryOptions = {},
): Registry {
  const { clock } = deps;
  const pool = new TransportPool(deps.transports, transportOptions(options), options);
  const observe = options.observe ?? (() => {});
  const clientDeps = compose(pool, clock, options, observe);
  const { health } = clientDeps;
  const client = (reference: Reference) => new RepositoryClient(clientDeps, reference);
  const read = new RecentRoots();
  const onWait = (milliseconds: number, err: unknown) =>
    observe({ type: 'wait', reason: messageOf(err), milliseconds });
  const insist = <T>(call: Call | undefined, ask: () => Promise<T>) =>
    persist({ clock, retry: options.retry }, call, onWait, ask);
  return {
    async resolve(reference, request = {}) {
      const root = await insist(request, () => resolveRoot(client(reference), request));
      read.keep(reference, root);
      return { reference, root: root.descriptor };
    },
    fetcher: (reference) => ({
      gives: true,
      async fetch(desc, opts) {
        const bytes = read.take(reference, desc.digest);
        if (bytes !== undefined) return { body: streamOf(bytes), offset: 0 };
        const kind = read.kindOf(reference, desc.digest);
        return await fetchObject(client(reference), desc, { kind, ...opts });
      },
      distrust: (host) => health.demote({ base: new URL(host) }, 'it sent damage'),
    }),
    find: (reference, digest, request = {}) =>
      insist(request, () => findObject(client(reference), digest, request)),
    ...openLists({ client, insist }),
    evidence(reference) {
      const cost = new CostCounter();
      const transport: ClientDeps['transport'] = (...of) => cost.layer(clientDeps.transport(...of));
      const counted = (one: Reference) => new RepositoryClient({ ...clientDeps, transport }, one);
      return { ...openEvidence({ client: counted, insist }, reference), cost: () => cost.total };
    },
    writer: (reference, call) => openWriter(clientDeps, options, reference, call),
    file: (url, call) => {
      const transport = clientDeps.plain({
        name: url.host,
        base: new URL(url.origin),
        capabilities: ['pull'],
      });
      return readUrl({ ...clientDeps, transport, retry: options.retry, onWait }, url, call);
    },
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}

/** The parts that the clients of all repositories share: the way of an exchange, and the knowledge of hosts. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: one list
function compose(pool: TransportPool, clock: Clock, options: RegistryOptions, observe: Observe): ClientDeps {
  const userAgent = options.userAgent ?? USER_AGENT;
  const observed =
    options.observe === undefined ? options : { ...options, trace: both(options.trace, observe) };
  const cooldowns = new Cooldowns({
    clock,
    longest: options.retry?.time ?? DEFAULT_TIME,
    onWait: ({ host, milliseconds }) =>
      observe({ type: 'wait', reason: `asked by ${host}`, milliseconds, askedBy: host }),
  });
  const speed = flow(flowOptions(options, clock), clock);
  const warnings = new RegistryWarnings(observe);
  const { reach } = pool;
  /** Headers of the configuration are dropped at the first redirect to another origin, as Authorization is. */
  const redirectsOf = (host: Host) => redirects(host.base, reach, Object.keys(host.headers ?? {}));
  /** Around each single exchange: hops of redirects and token requests have their own. `secret`: bodies hold secrets. */
  const perExchange = (secret: boolean, host?: Host): Layers => ({
    cooldown: cooldowns.layer,
    speed,
    trace: tracing(observed, clock, { secret, configured: Object.keys(host?.headers ?? {}) }),
  });
  const authorizer = new Authorizer({
    clock,
    userAgent,
    observe,
    reach,
    credentials: options.credentials ?? (async () => undefined),
    tokenTransport: (host) =>
      stack(pool.forHost(host), {
        headers: ownHeaders(host),
        redirects: redirectsOf(host),
        ...perExchange(true, host),
      }),
  });
  const foreign = (registry: URL) =>
    stack(pool.forStrangers(registry), { redirects: redirects(registry, reach), ...perExchange(false) });
  return {
    clock,
    userAgent,
    observe,
    reach,
    health: new HostHealth(clock, options.memory),
    partless: new Set(),
    cooldowns,
    foreign: options.foreignUrls === true ? foreign : undefined,
    hosts: rememberedHosts(options, clock, observe),
    account: (origin, repository) => authorizer.account(origin, repository),
    plain: (host) => stack(pool.forHost(host), { redirects: redirectsOf(host), ...perExchange(false, host) }),
    transport: (host, repository, pushes) =>
      stack(pool.forHost(host), {
        ...(options.around === undefined ? {} : { around: options.around }),
        authorize: authorizer.layer(host, repository, pushes),
        redirects: redirectsOf(host),
        warnings: warnings.layer(host.base),
        ...perExchange(false, host),
      }),
  };
}

function transportOptions(options: RegistryOptions): TransportOptions {
  const { tls, connections, limits, proxy } = options;
  return {
    ...tls,
    connections,
    proxy,
    connectTimeout: limits?.connect,
    headersTimeout: limits?.headers,
    stallTimeout: limits?.stall,
  };
}

function flowOptions({ limits, limitRate }: RegistryOptions, clock: Clock): FlowOptions {
  return {
    minSpeed: limits?.minSpeed ?? DEFAULT_MIN_SPEED,
    window: limits?.window ?? SPEED_WINDOW,
    limit: limitRate === undefined ? undefined : new RateLimit(clock, limitRate),
  };
}

function both(trace: RegistryOptions['trace'], observe: Observe): (event: TraceEvent) => void {
  return (event) => {
    trace?.(event);
    observe({ type: 'request', ...event });
  };
}

/** Adds the host's headers to requests to its origin: token requests are not made by the client, which adds them for the API. */
function ownHeaders({ base, headers }: Host): Layer {
  if (headers === undefined) return (next) => next;
  return (next) => async (request) =>
    await next(
      request.url.origin === base.origin
        ? { ...request, headers: { ...headers, ...request.headers } }
        : request,
    );
}

/** Keeps the root that was read to be resolved, as registries count requests for manifests, and where roots are. */
class RecentRoots {
  #kept: { readonly key: string; readonly bytes: Uint8Array } | undefined;
  readonly #kinds = new BoundedMap<string, Root['kind']>(MAX_KINDS);

  keep(reference: Reference, { descriptor, kind, bytes }: Root): void {
    const key = keyOf(reference, descriptor.digest);
    this.#kinds.set(key, kind);
    if (bytes !== undefined) this.#kept = { key, bytes };
  }

  take(reference: Reference, digest: string): Uint8Array | undefined {
    const kept = this.#kept;
    if (kept?.key !== keyOf(reference, digest)) return undefined;
    this.#kept = undefined;
    return kept.bytes;
  }

  /** The endpoint of a root. */
  kindOf(reference: Reference, digest: string): Root['kind'] | undefined {
    return this.#kinds.get(keyOf(reference, digest));
  }
}

function keyOf({ host, repository }: Reference, digest: string): string {
  return `${host}/${repository}@${digest}`;
}
