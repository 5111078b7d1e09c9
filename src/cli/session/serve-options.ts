/** The flags of `serve` as options. */
import { absolutePath } from '../../core/absolute-path.ts';
import { closingAfter } from '../../core/async/cleanup.ts';
import type { Backend } from '../../core/backend.ts';
import { toHex } from '../../core/bytes.ts';
import { HawserError } from '../../core/errors.ts';
import type { HttpServerOptions, ServerTls } from '../../core/ports/http-server.ts';
import { parseReference } from '../../core/reference/parse.ts';
import type { RegistryOptions } from '../../core/registry/open.ts';
import { BasicAuth, parseUsers } from '../../core/serve/htpasswd.ts';
import {
  MAX_CONNECTIONS as DEFAULT_CONNECTIONS,
  isAddress,
  isLoopback,
  LISTENING,
  type Listening,
  PATIENCE_WITH_CLIENTS,
} from '../../core/serve/listening.ts';
import { hostOf } from '../../core/serve/repositories.ts';
import { type Upstream, viaLayer } from '../../core/serve/upstream.ts';
import { PullThrough } from '../../core/verbs/pull-through.ts';
import {
  HTPASSWD,
  KEEP_PULLED,
  LISTEN,
  MAX_CONNECTIONS,
  PULL_THROUGH,
  SERVE_CA,
  SERVE_CERT,
  SERVE_KEY,
  SERVE_PLAIN,
  type ServeFlag,
  UPSTREAM_FLAGS,
} from '../grammar/serve-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { verifiedLine } from '../render/verified.ts';
import { type Context, readFlagFile, warn as tell } from './context.ts';
import { checkedGate } from './gate.ts';
import { networkOptions } from './network-options.ts';
import { otherRegistryOptions } from './registry-options.ts';
import { withTransferRegistry } from './transfer.ts';

export type ServeContext = Context<ServeFlag>;

/** `127.0.0.1:5000`, `[::1]:5000`, `:5000` for all addresses. */
export function listeningOf({ input }: ServeContext): Listening {
  const text = input.get(LISTEN);
  if (text === undefined) return LISTENING;
  const [, v6, v4, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]*|localhost)):(\d{1,5})$/.exec(text) ?? [];
  const address = v6 ?? (v4 === 'localhost' ? '127.0.0.1' : v4 === '' ? '::' : v4);
  if (address === undefined || Number(digits) > 65_535 || !isAddress(address))
    throw usageError(
      `invalid value "${text}" for --listen`,
      'Write it as ADDRESS:PORT: 127.0.0.1:5000, [::1]:5000',
    );
  return { address, port: Number(digits) };
}

/** Reads the files of TLS. A usage error where passwords and content would go over a network in the clear without being asked for. */
export async function serverOptions(context: ServeContext): Promise<HttpServerOptions> {
  const { input } = context;
  const listening = listeningOf(context);
  const tls = await serverTls(context);
  if (tls === undefined && !isLoopback(listening.address) && !input.get(SERVE_PLAIN)) {
    throw usageError(
      `${listening.address} can be reached by other machines, and there is no certificate`,
      'Add --tlscert and --tlskey, or --plain-http to serve without TLS',
    );
  }
  return {
    ...listening,
    tls,
    maxConnections: input.get(MAX_CONNECTIONS) || DEFAULT_CONNECTIONS,
    ...PATIENCE_WITH_CLIENTS,
  };
}

async function serverTls(context: ServeContext): Promise<ServerTls | undefined> {
  const { input } = context;
  const [cert, key, ca] = [input.get(SERVE_CERT), input.get(SERVE_KEY), input.get(SERVE_CA)];
  if ((cert === undefined) !== (key === undefined) || (ca !== undefined && cert === undefined)) {
    throw usageError(
      'flags --tlscert and --tlskey must be set together, and --tlscacert with them',
      'Give all that are needed, or none',
    );
  }
  if (cert === undefined || key === undefined) return undefined;
  const clientCa = ca === undefined ? undefined : await readFlagFile(context, ca);
  if (clientCa !== undefined && !clientCa.includes('-----BEGIN '))
    throw new HawserError('InvalidArgument', `"${ca}" holds no certificates in PEM form`, {
      hint: 'A certificate in PEM form begins with -----BEGIN CERTIFICATE-----; openssl x509 -inform DER converts others',
    });
  return { cert: await readFlagFile(context, cert), key: await readFlagFile(context, key), clientCa };
}

export async function authOf(context: ServeContext): Promise<BasicAuth | undefined> {
  const path = context.input.get(HTPASSWD);
  if (path === undefined) return undefined;
  const users = parseUsers(await readFlagFile(context, path), path);
  return new BasicAuth(users, context.runtime.hashers);
}

/** Milliseconds for which content stays that --pull-through has brought. */
const DEFAULT_KEEP = 7 * 24 * 3600 * 1000;
/** Milliseconds: less than for a pull, as clients ask again by themselves, and a mirror's have the registry to ask. */
const PATIENCE = { connect: 5000, headers: 15_000, stall: 20_000, retry: 10_000 };

/** Milliseconds after which a server looks its mirrors up again, and trusts again those that failed. */
const MEMORY = 60_000;

/** The registries of --pull-through, as references write them; undefined without the flag. A usage error for what is no registry. */
export function pulledHosts(context: ServeContext): ReadonlySet<string> | undefined {
  const { input } = context;
  const given = input.get(PULL_THROUGH);
  for (const flag of [KEEP_PULLED, ...UPSTREAM_FLAGS])
    if (given.length === 0 && input.has(flag))
      throw usageError(`flag --${flag.name} needs --pull-through`, 'Name the registries that may be asked');
  return given.length === 0 ? undefined : new Set(given.map(upstreamHost));
}

function upstreamHost(text: string): string {
  const host = hostOf(text);
  try {
    if (parseReference(`${host}/a:1`).host === host) return host;
  } catch {}
  throw usageError(
    `invalid value "${text}" for --pull-through: it is no registry`,
    'Write it as images do: docker.io, ghcr.io, registry.example:5000',
  );
}

/** Opens a client of these registries for `work`. */
export async function withUpstream<T>(
  context: ServeContext,
  backend: Backend,
  hosts: ReadonlySet<string>,
  work: (upstream: Upstream) => Promise<T>,
): Promise<T> {
  const { runtime, input } = context;
  const id = `hawser-${toHex(runtime.host.random(6))}`;
  // --limit-rate is of what is sent.
  const { limits, retry: given } = networkOptions(input);
  const stall = given?.stall ?? PATIENCE.stall;
  const retry = { ...given, time: given?.time ?? PATIENCE.retry, stall };
  const { connect = PATIENCE.connect, headers = PATIENCE.headers, minSpeed } = limits ?? {};
  const options: RegistryOptions = {
    ...otherRegistryOptions(context),
    retry,
    limits: { connect, headers, stall, minSpeed },
    around: viaLayer(id),
    memory: MEMORY,
  };
  const say = (line: string) => void tell(context, line).catch(() => {});
  const warn = (message: string) => say(`warning: ${message}`);
  const gate = await checkedGate(context);
  return await withTransferRegistry(context, { ...options, report: () => {} }, async (registry) => {
    const keep = input.get(KEEP_PULLED) ?? DEFAULT_KEEP;
    const upstream = new PullThrough(
      { backend, registry, clock: runtime.clock },
      { hosts, id, keep, retry, ...gate, warn, verified: (event) => say(verifiedLine(event)) },
    );
    return await closingAfter(
      () => work(upstream),
      () => upstream[Symbol.asyncDispose](),
    );
  });
}

/** The absolute path of the server's certificate, for a mirror's configuration. */
export function certPath({ input, runtime }: ServeContext): string | undefined {
  const path = input.get(SERVE_CERT);
  return path === undefined ? undefined : absolutePath(path, runtime.host);
}
