import { onAbort } from '../../core/async/abort.ts';
import { closingAfter } from '../../core/async/cleanup.ts';
import { isKind } from '../../core/errors.ts';
import { RateLimit } from '../../core/registry/flow.ts';
import { registryHandler, type ServeEvent } from '../../core/serve/handler.ts';
import { hostsToml } from '../../core/serve/hosts-toml.ts';
import { JSON_DOCUMENT } from '../grammar/flags.ts';
import { ACCESS_LOG, HTPASSWD, PRINT_HOSTS_TOML, SERVE_FLAGS, SERVE_RATE } from '../grammar/serve-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { show, warn, withStore } from '../session/context.ts';
import {
  authOf,
  certPath,
  listeningOf,
  type ServeContext,
  serverOptions,
  urlOf,
} from '../session/serve-options.ts';
import { DONE, type Outcome } from '../views/view.ts';
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
    'A blob that is not what its digest says is never sent whole. Ends at SIGINT and SIGTERM, 10 s after the answers that are on their way.',
  flags: [...SERVE_FLAGS, JSON_DOCUMENT],
  run: async (context, input) => {
    if (input.get(PRINT_HOSTS_TOML)) return printed(context);
    const options = await serverOptions(context);
    const auth = await authOf(context);
    const rate = input.get(SERVE_RATE);
    const { clock, hashers, servers } = context.runtime;
    const limit = rate === undefined ? undefined : new RateLimit(clock, rate);
    const tell = teller(context, input.get(ACCESS_LOG));
    await withStore(context, async (backend) => {
      const server = await servers.listen(
        options,
        registryHandler(backend, { clock, hashers }, { auth, limit, tell }),
      );
      const url = urlOf(server, options.tls !== undefined);
      await closingAfter(
        async () => {
          const [namespace, json] = [backend.namespace, input.get(JSON_DOCUMENT)];
          const text = [`serving the namespace ${namespace} at ${url}`];
          await show(context, {
            type: 'answer',
            of: 'serving',
            lines: text,
            members: { namespace, url },
            json,
          });
          await aborted(context.signal);
        },
        () => server.close(GRACE),
      );
    });
    // A time limit is an error, a signal is how a server ends.
    if (!isKind(context.signal.reason, 'Canceled')) context.signal.throwIfAborted();
    return DONE;
  },
});

function printed(context: ServeContext): Outcome {
  const ca = certPath(context);
  const listening = listeningOf(context);
  if (['0.0.0.0', '::'].includes(listening.address) || listening.port === 0)
    throw usageError(
      'clients need an address and a port',
      'Name with --listen those by which they reach this machine',
    );
  const url = urlOf(listening, ca !== undefined);
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
