/** The flags of `serve` as options. */
import { absolutePath } from '../../core/absolute-path.ts';
import { HawserError } from '../../core/errors.ts';
import type { HttpServerOptions, ServerTls } from '../../core/ports/http-server.ts';
import { BasicAuth, parseUsers } from '../../core/serve/htpasswd.ts';
import {
  HTPASSWD,
  LISTEN,
  MAX_CONNECTIONS,
  SERVE_CA,
  SERVE_CERT,
  SERVE_KEY,
  SERVE_PLAIN,
  type ServeFlag,
} from '../grammar/serve-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { type Context, readFlagFile } from './context.ts';

export type ServeContext = Context<ServeFlag>;

const DEFAULT_CONNECTIONS = 256;
/** Milliseconds for the headers of a request, and for a client to take 64 KiB. */
const HEADERS_TIMEOUT = 30_000;
const STALL_TIMEOUT = 60_000;

export interface Listening {
  readonly address: string;
  readonly port: number;
}

/** `127.0.0.1:5000`, `[::1]:5000`, `:5000` for all addresses. */
export function listeningOf({ input }: ServeContext): Listening {
  const text = input.get(LISTEN) ?? '127.0.0.1:5000';
  const [, v6, v4, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]*|localhost)):(\d{1,5})$/.exec(text) ?? [];
  const address = v6 ?? (v4 === 'localhost' ? '127.0.0.1' : v4 === '' ? '::' : v4);
  if (address === undefined || Number(digits) > 65_535 || !URL.canParse(`http://${inUrl(address)}/`))
    throw usageError(
      `invalid value "${text}" for --listen`,
      'Write it as ADDRESS:PORT: 127.0.0.1:5000, [::1]:5000',
    );
  return { address, port: Number(digits) };
}

export function urlOf({ address, port }: Listening, tls: boolean): string {
  return `${tls ? 'https' : 'http'}://${inUrl(address)}:${port}`;
}

function inUrl(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** Reads the files of TLS. A usage error where passwords and content would go over a network in the clear without being asked for. */
export async function serverOptions(context: ServeContext): Promise<HttpServerOptions> {
  const { input } = context;
  const listening = listeningOf(context);
  const tls = await serverTls(context);
  const isLoopback = /^127\.|^::1$/.test(listening.address);
  if (tls === undefined && !isLoopback && !input.get(SERVE_PLAIN)) {
    throw usageError(
      `${listening.address} can be reached by other machines, and there is no certificate`,
      'Add --tlscert and --tlskey, or --plain-http to serve without TLS',
    );
  }
  return {
    ...listening,
    tls,
    maxConnections: input.get(MAX_CONNECTIONS) || DEFAULT_CONNECTIONS,
    headersTimeout: HEADERS_TIMEOUT,
    stallTimeout: STALL_TIMEOUT,
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
    throw new HawserError('InvalidArgument', `"${ca}" holds no certificates in PEM form`);
  return { cert: await readFlagFile(context, cert), key: await readFlagFile(context, key), clientCa };
}

export async function authOf(context: ServeContext): Promise<BasicAuth | undefined> {
  const path = context.input.get(HTPASSWD);
  if (path === undefined) return undefined;
  const users = parseUsers(await readFlagFile(context, path), path);
  return new BasicAuth(users, context.runtime.hashers);
}

/** The absolute path of the server's certificate, for a mirror's configuration. */
export function certPath({ input, runtime }: ServeContext): string | undefined {
  const path = input.get(SERVE_CERT);
  return path === undefined ? undefined : absolutePath(path, runtime.host);
}
