import type { Clock } from '../ports/clock.ts';
import type { TlsOptions, Transports } from '../ports/transport.ts';
import type { Reference } from '../reference/reference.ts';
import { Authorizer } from './auth/authorize.ts';
import { bodyOf } from './body.ts';
import { type ClientDeps, RepositoryClient } from './client.ts';
import type { Credentials } from './credentials.ts';
import { fetchObject } from './fetcher.ts';
import { defaultHosts, type Hosts } from './hosts.ts';
import { type Layer, stack } from './layers.ts';
import { redirects } from './redirects.ts';
import { type Root, resolveRoot } from './resolver.ts';
import type { Registry } from './roles.ts';
import { type TraceEvent, tracing } from './trace.ts';

export type { Credential, Credentials } from './credentials.ts';
export type { Host, Hosts, Operation } from './hosts.ts';
export type { TraceEvent } from './trace.ts';

export interface RegistryOptions {
  /** Without TLS, but for docker.io. */
  readonly plainHttp?: boolean | undefined;
  readonly tls?: TlsOptions | undefined;
  readonly credentials?: Credentials | undefined;
  readonly userAgent?: string | undefined;
  /** Each exchange, redacted. */
  readonly trace?: ((event: TraceEvent) => void) | undefined;
  /** Requests and answers as lines, redacted, without the bodies of blobs. */
  readonly dump?: ((line: string) => void) | undefined;
  /** Connections to one origin at once. */
  readonly connections?: number | undefined;
  /** Milliseconds: to connect, to the headers of an answer, and between bytes of a body. */
  readonly limits?: { connect?: number; headers?: number; stall?: number } | undefined;
  /** Where to ask. Default: the registry that the reference names. */
  readonly hosts?: Hosts | undefined;
  /** The outermost layer of requests to registries, such as retries. */
  readonly around?: Layer | undefined;
}

const USER_AGENT = 'hawser';

/**
 * A client of registries: resolves references and fetches content. Tokens and connections are shared by all of its
 * repositories and end with it. Errors: Unauthenticated and PermissionDenied (`pull access denied`), NotFound,
 * Unavailable and DeadlineExceeded (see `isRetryable`), ResourceExhausted (caps), FailedPrecondition (refused redirects).
 */
export function openRegistry(
  deps: { readonly transports: Transports; readonly clock: Clock },
  options: RegistryOptions = {},
): Registry {
  const { clock } = deps;
  const userAgent = options.userAgent ?? USER_AGENT;
  const transport = deps.transports.open({
    ...options.tls,
    connections: options.connections,
    connectTimeout: options.limits?.connect,
    headersTimeout: options.limits?.headers,
    stallTimeout: options.limits?.stall,
  });
  const authorizer = new Authorizer({
    clock,
    userAgent,
    credentials: options.credentials ?? (async () => undefined),
    tokenTransport: (registry) => stack(transport.send, redirects(registry), tracing(options, clock, true)),
  });
  const around = options.around ?? ((next) => next);
  const clientDeps: ClientDeps = {
    clock,
    userAgent,
    hosts: options.hosts ?? defaultHosts(options),
    transport: (host, repository) =>
      stack(
        transport.send,
        around,
        authorizer.layer(host, `repository:${repository}:pull`),
        redirects(host.base),
        tracing(options, clock, false),
      ),
  };
  const client = (reference: Reference) => new RepositoryClient(clientDeps, reference);
  const read = new RecentRoot();
  return {
    async resolve(reference, call) {
      const root = await resolveRoot(client(reference), call);
      read.keep(reference, root);
      return { reference, root: root.descriptor };
    },
    fetcher: (reference) => ({
      async fetch(desc, opts) {
        const bytes = read.take(reference, desc.digest);
        if (bytes !== undefined) return { body: bodyOf(bytes), offset: 0 };
        return await fetchObject(client(reference), desc, opts?.offset ?? 0, opts);
      },
    }),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}

/** A root that had to be read to be resolved is not asked for a second time: registries count manifest requests. */
class RecentRoot {
  #kept: { readonly key: string; readonly bytes: Uint8Array } | undefined;

  keep({ host, repository }: Reference, { descriptor, bytes }: Root): void {
    if (bytes !== undefined) this.#kept = { key: `${host}/${repository}@${descriptor.digest}`, bytes };
  }

  take({ host, repository }: Reference, digest: string): Uint8Array | undefined {
    const kept = this.#kept;
    if (kept?.key !== `${host}/${repository}@${digest}`) return undefined;
    this.#kept = undefined;
    return kept.bytes;
  }
}
