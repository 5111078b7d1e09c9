import { onAbort } from '../../core/async/abort.ts';
import { closingAfter } from '../../core/async/cleanup.ts';
import type { Backend } from '../../core/backend.ts';
import { isKind } from '../../core/errors.ts';
import { RateLimit } from '../../core/registry/flow.ts';
import type { ServeEvent } from '../../core/serve/events.ts';
import { registryHandler } from '../../core/serve/handler.ts';
import { hostsToml } from '../../core/serve/hosts-toml.ts';
import { serverUrl } from '../../core/serve/listening.ts';
import type { Upstream } from '../../core/serve/upstream.ts';
import { JSON_DOCUMENT } from '../grammar/flags.ts';
import { ACCESS_LOG, HTPASSWD, PRINT_HOSTS_TOML, SERVE_FLAGS, SERVE_RATE } from '../grammar/serve-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { type Context, show, warn, withBackend, withStore } from '../session/context.ts';
import {
  authOf,
  certPath,
  listeningOf,
  pulledHosts,
  type ServeContext,
  serverOptions,
  withUpstream,
} from '../session/serve-options.ts';
import { DONE, type Outcome, type View } from '../views/view.ts';
import { type Command, command } from './command.ts';

/** Milliseconds for answers that are on their way when the server is to stop. */
const GRACE = 10_000;

export const serve: Command = command({
  path: ['serve'],
  args: [],
  summary: 'serve the images of the store as a registry that is only read',
  details:
    'Clients name an image as HOST/REPOSITORY (127.0.0.1:5000/docker.io/library/alpine; localhost_5000 for localhost:5000), by\n' +
    'the bare name where it is of Docker Hub or the only one, or, as a mirror in hosts.toml, with ?ns=HOST.\n' +
    'A blob that is not what its digest says is never sent whole. With --pull-through, whoever reaches the server reads what the\n' +
    'credentials of this machine may read at the registries that are named; no other registry is ever asked. Registries are\n' +
    'waited for less than by a pull (--timeout-connect 5s, --timeout-response 15s, --timeout-stall 20s, --retry-time 10s): clients ask again.\n' +
    'Ends at SIGINT and SIGTERM, 10 s after the answers that are on their way.',
  flags: [...SERVE_FLAGS, JSON_DOCUMENT],
  run: async (context, input) => {
    if (input.get(PRINT_HOSTS_TOML)) return printed(context);
    const options = await serverOptions(context);
    const auth = await authOf(context);
    const rate = input.get(SERVE_RATE);
    const { clock, hashers, servers } = context.runtime;
    const limit = rate === undefined ? undefined : new RateLimit(clock, rate);
    const tell = teller(context, input.get(ACCESS_LOG));
    const hosts = pulledHosts(context);
    const run = async (backend: Backend, upstream?: Upstream): Promise<void> => {
      const handler = registryHandler(backend, { clock, hashers }, { auth, limit, tell, upstream });
      const server = await servers.listen(options, handler);
      const url = serverUrl(server, options.tls !== undefined);
      await closingAfter(
        async () => {
          await show(context, serving(context, backend.namespace, url, hosts));
          await aborted(context.signal);
        },
        () => server.close(GRACE),
      );
    };
    if (hosts === undefined) await withStore(context, run);
    else
      await withBackend(context, (backend) =>
        withUpstream(context, backend, hosts, (upstream) => run(backend, upstream)),
      );
    // A time limit is an error, a signal is how a server ends.
    if (!isKind(context.signal.reason, 'Canceled')) context.signal.throwIfAborted();
    return DONE;
  },
});

function serving(
  { input }: Context<'json'>,
  namespace: string,
  url: string,
  hosts: ReadonlySet<string> | undefined,
): View {
  const pullThrough = [...(hosts ?? [])];
  const beyond = hosts === undefined ? '' : `, and what is not here of ${pullThrough.join(', ')}`;
  const members = { namespace, url, ...(hosts === undefined ? {} : { pullThrough }) };
  const text = [`serving the namespace ${namespace} at ${url}${beyond}`];
  return { type: 'answer', of: 'serving', lines: text, members, json: input.get(JSON_DOCUMENT) };
}

function printed(context: ServeContext): Outcome {
  const ca = certPath(context);
  const listening = listeningOf(context);
  if (['0.0.0.0', '::'].includes(listening.address) || listening.port === 0)
    throw usageError(
      'clients need an address and a port',
      'Name with --listen those by which they reach this machine',
    );
  const url = serverUrl(listening, ca !== undefined);
  const auth = context.input.get(HTPASSWD) !== undefined;
  return { view: { type: 'text', text: hostsToml({ url, ca, auth }) } };
}

function teller(context: ServeContext, log: boolean): (event: ServeEvent) => void {
  return (event) => {
    if (event.type === 'request' && !log) return;
    const line =
      event.type === 'failure'
        ? `error: ${event.message}`
        : `${event.peer} ${event.method} ${event.target} ${event.status} ${event.bytes}`;
    void warn(context, line).catch(() => {});
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => void onAbort(signal, resolve));
}
