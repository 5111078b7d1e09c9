import { absolutePath } from '../../core/absolute-path.ts';
import { HawserError } from '../../core/errors.ts';
import type { TlsOptions } from '../../core/ports/transport.ts';
import type { Reference } from '../../core/reference/reference.ts';
import type { Credential } from '../../core/registry/credentials/credential.ts';
import { type EnvironmentOptions, environmentOptions } from '../../core/registry/environment.ts';
import type { RegistryOptions } from '../../core/registry/open.ts';
import type { TraceEvent } from '../../core/registry/trace.ts';
import {
  HOSTS_DIR,
  HTTP_DUMP,
  HTTP_TRACE,
  PLAIN_HTTP,
  REACH,
  type RegistryFlag,
  SKIP_VERIFY,
  TLS_CA_CERT,
  TLS_CERT,
  TLS_KEY,
} from '../grammar/registry-flags.ts';
import type { UrlFlag } from '../grammar/url-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { lineWriter, traceLine } from '../render/trace.ts';
import { VERSION } from '../version.ts';
import { type Context, readFlagFile } from './context.ts';
import { givenCredential, onlyFor } from './credentials.ts';

/** The registry flags as options. Reads the files that flags name; without `credential`, may ask for a password. */
export async function registryOptions(
  context: Context<RegistryFlag>,
  reference: Pick<Reference, 'host'>,
  credential?: Credential,
): Promise<RegistryOptions> {
  const tls = await tlsOptions(context);
  const credentials = onlyFor(reference, credential ?? (await givenCredential(context)));
  return optionsWith(context, {
    plainHttp: context.input.get(PLAIN_HTTP),
    tls,
    credentials,
    ...hostsOf(context),
  });
}

/** Without the flags that are for one registry: credentials, plain HTTP and those of TLS. */
export function otherRegistryOptions(context: Context<AskingFlag>): RegistryOptions {
  return optionsWith(context, hostsOf(context));
}

/** For a file at a URL, which is at no registry. */
export async function urlOptions(context: Context<UrlFlag>): Promise<RegistryOptions> {
  return optionsWith(context, { tls: await tlsOptions(context) });
}

/** The flags that hold for every registry. */
type AskingFlag = 'hosts-dir' | ExchangeFlag;
type ExchangeFlag = 'reach' | 'http-trace' | 'http-dump';

function hostsOf({ input, runtime }: Context<'hosts-dir'>): Pick<EnvironmentOptions, 'hostsDir'> {
  const hostsDir = input.get(HOSTS_DIR);
  return hostsDir === undefined ? {} : { hostsDir: absolutePath(hostsDir, runtime.host) };
}

function optionsWith(
  { input, runtime, stderr }: Context<ExchangeFlag>,
  given: Pick<EnvironmentOptions, 'plainHttp' | 'tls' | 'credentials' | 'hostsDir'>,
): RegistryOptions {
  const { host } = runtime;
  const write = lineWriter(stderr);
  const environment = environmentOptions(runtime, {
    ...given,
    warn: (message) => write(`warning: ${message}`),
  });
  return {
    ...environment,
    reach: input.get(REACH),
    userAgent: `hawser/${VERSION} (${host.runtime}/${host.runtimeVersion}; ${host.os}/${host.arch})`,
    ...(input.get(HTTP_TRACE) ? { trace: (event: TraceEvent) => write(traceLine(event)) } : {}),
    ...(input.get(HTTP_DUMP) ? { dump: write } : {}),
  };
}

async function tlsOptions(
  context: Context<'tlscacert' | 'tlscert' | 'tlskey' | 'skip-verify'>,
): Promise<TlsOptions> {
  const { input } = context;
  const [ca, cert, key] = [input.get(TLS_CA_CERT), input.get(TLS_CERT), input.get(TLS_KEY)];
  if ((cert ?? '') === '' ? (key ?? '') !== '' : (key ?? '') === '') {
    throw usageError('flags --tlscert and --tlskey must be set together', 'Give both, or none');
  }
  const read = async (path: string | undefined) => (path ? await readFlagFile(context, path) : undefined);
  const caText = await read(ca);
  if (caText !== undefined && !caText.includes('-----BEGIN ')) {
    throw new HawserError('InvalidArgument', `failed to load TLS CAs from "${ca}": invalid data`, {
      hint: 'The file has to hold certificates in PEM form',
    });
  }
  return { ca: caText, cert: await read(cert), key: await read(key), skipVerify: input.get(SKIP_VERIFY) };
}
