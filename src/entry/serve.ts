/** The library's server: a store as a registry that is only read. */
import { canceling, onAbort } from '../core/async/abort.ts';
import { HawserError } from '../core/errors.ts';
import type { Call } from '../core/ports/call.ts';
import type { HttpServer, ServerTls } from '../core/ports/http-server.ts';
import { RateLimit } from '../core/registry/flow.ts';
import type { ServeEvent } from '../core/serve/events.ts';
import { registryHandler } from '../core/serve/handler.ts';
import { BasicAuth, parseUsers } from '../core/serve/htpasswd.ts';
import {
  isAddress,
  isLoopback,
  LISTENING,
  MAX_CONNECTIONS,
  PATIENCE_WITH_CLIENTS,
  serverUrl,
} from '../core/serve/listening.ts';
import { called, type OptionNames } from './called.ts';
import { type AnyStore, partsOf } from './stores.ts';

/** Milliseconds for answers that are on their way when the server is to stop. */
const GRACE = 10_000;

/** What `serve` takes. */
export interface ApiServeOptions extends Call {
  /** What is served: one namespace. It must stay open as long as the server. */
  readonly store: AnyStore;
  /** An IP address. Default: 127.0.0.1. */
  readonly address?: string | undefined;
  /** Default: 5000; 0: any that is free. */
  readonly port?: number | undefined;
  /** Default: plain HTTP, for addresses of this machine only. */
  readonly tls?: ServerTls | undefined;
  /** Serves by plain HTTP at an address that other machines reach, too. */
  readonly plainHttp?: boolean | undefined;
  /** The text of an htpasswd file (bcrypt): who may read. Default: everybody. */
  readonly users?: string | undefined;
  /** More are closed at once. Default: 256. */
  readonly maxConnections?: number | undefined;
  /** Bytes a second for all bodies together. */
  readonly limitRate?: number | undefined;
  /** Gets each request that was answered, and what of the store cannot be given. */
  readonly onEvent?: ((event: ServeEvent) => void) | undefined;
}

const SERVE_NAMES: OptionNames<ApiServeOptions> = {
  signal: true,
  store: true,
  address: true,
  port: true,
  tls: { cert: true, key: true, clientCa: true },
  plainHttp: true,
  users: true,
  maxConnections: true,
  limitRate: true,
  onEvent: true,
};

/** A server that runs. Disposing is `close`. */
export interface ImageServer extends AsyncDisposable {
  /** `http://127.0.0.1:5000`. */
  readonly url: string;
  /** Takes no more requests, and cuts what is still being answered after `grace` milliseconds. Default: 10 s. */
  close(grace?: number): Promise<void>;
}

/**
 * Serves the images of a store: clients name them as `HOST:PORT/docker.io/library/alpine`, or use the server as a mirror. A blob that is
 * not what its digest says is never sent whole. Returns once the server listens. An abort of `signal` later on closes the server.
 *
 * Errors: InvalidArgument (options, certificates, users), FailedPrecondition (the address or the port cannot be had), Canceled.
 *
 * ```ts
 * const server = await serve({ store, port: 0 });
 * console.log(server.url);
 * await server.close();
 * ```
 */
export async function serve(options: ApiServeOptions): Promise<ImageServer> {
  return await called(SERVE_NAMES, options, async (options) => {
    const {
      store,
      address = LISTENING.address,
      port = LISTENING.port,
      tls,
      users,
      limitRate,
      onEvent,
    } = options;
    const { backend, runtime } = partsOf(store);
    const { clock, hashers, servers } = runtime;
    checkListening(options);
    const auth = users === undefined ? undefined : new BasicAuth(parseUsers(users, 'users'), hashers);
    const limit = limitRate === undefined ? undefined : new RateLimit(clock, limitRate);
    const tell = onEvent ?? (() => {});
    const handler = registryHandler(backend, { clock, hashers }, { auth, limit, tell });
    const listening = {
      ...{ address, port, tls, ...PATIENCE_WITH_CLIENTS },
      maxConnections: options.maxConnections || MAX_CONNECTIONS,
    };
    return await canceling(options.signal, async (signal) => {
      signal?.throwIfAborted();
      const server = await servers.listen(listening, handler);
      if (signal?.aborted === true) await server.close(0);
      signal?.throwIfAborted();
      return imageServer(server, tls !== undefined, options.signal);
    });
  });
}

/** InvalidArgument; also where passwords and content would go over a network in the clear without being asked for. */
function checkListening({
  address = LISTENING.address,
  port = LISTENING.port,
  tls,
  plainHttp,
  maxConnections,
}: ApiServeOptions): void {
  const refuse = (what: string, hint: string): HawserError =>
    new HawserError('InvalidArgument', `Cannot serve: ${what}`, { hint });
  if (!isAddress(address))
    throw refuse(`${JSON.stringify(address)} is no IP address`, 'Write it as 127.0.0.1 or ::1');
  for (const [name, value, most] of [
    ['port', port, 65_535],
    ['maxConnections', maxConnections ?? 0, Number.MAX_SAFE_INTEGER],
  ] as const)
    if (!(Number.isInteger(value) && value >= 0 && value <= most))
      throw refuse(`${name} is ${value}`, `It is a whole number from 0 to ${most}`);
  if (tls === undefined && plainHttp !== true && !isLoopback(address))
    throw refuse(
      `other machines can reach ${address}, and there is no certificate`,
      'Give tls, or plainHttp to serve without TLS',
    );
}

function imageServer(server: HttpServer, secure: boolean, signal: AbortSignal | undefined): ImageServer {
  let closed: Promise<void> | undefined;
  const close = (grace: number = GRACE): Promise<void> => {
    stopListening();
    closed ??= server.close(grace);
    return closed;
  };
  let stopListening = (): void => {};
  stopListening = onAbort(signal, () => void close().catch(() => {}));
  return {
    url: serverUrl(server, secure),
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}
