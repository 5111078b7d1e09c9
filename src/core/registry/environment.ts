/** The machine's settings for registries: certs.d directories, proxies, trusted certificates, credentials of other tools. */
import { messageOf } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { TlsOptions } from '../ports/transport.ts';
import type { Runtime } from '../runtime.ts';
import type { Credentials } from './credentials/credential.ts';
import { firstOf, storedCredentials } from './credentials/sources.ts';
import { hostsFromDirs } from './hosts-dir/load.ts';
import type { RegistryOptions } from './open.ts';
import { proxiesOf } from './proxy.ts';

export interface EnvironmentOptions {
  /** Absolute. Default: containerd's and Docker's own directories. */
  readonly hostsDir?: string | undefined;
  readonly plainHttp?: boolean | undefined;
  readonly tls?: TlsOptions | undefined;
  /** Asked before the stored credentials. */
  readonly credentials?: Credentials | undefined;
  readonly warn: (message: string) => void;
}

type Env = (name: string) => string | undefined;

const MAX_ROOTS_BYTES = 16 * 1024 * 1024;

/** Options of a registry client as the environment has them. */
export async function environmentOptions(
  { fs, host, programs }: Pick<Runtime, 'fs' | 'host' | 'programs'>,
  options: EnvironmentOptions,
  call: Call,
): Promise<RegistryOptions> {
  const { hostsDir, plainHttp, warn } = options;
  const given = options.credentials ?? (async () => undefined);
  const env: Env = (name) => host.env(name);
  // Roots for all registries are no sign that a local one speaks TLS: only options of this pull choose a scheme.
  const hosts = hostsFromDirs({ fs, warn }, { dir: hostsDir, plainHttp, tls: options.tls });
  const tls = await withRoots({ fs, env, warn }, options.tls, call);
  const credentials = firstOf(given, storedCredentials({ fs, programs, env, warn }));
  return { hosts, tls, credentials, proxy: proxiesOf(env), plainHttp };
}

/**
 * SSL_CERT_FILE replaces the system's roots, as it does for OpenSSL and Go; a CA that was given replaces both. Where it cannot
 * be read, it is told of and not used, as there.
 */
async function withRoots(
  { fs, env, warn }: Pick<Runtime, 'fs'> & Pick<EnvironmentOptions, 'warn'> & { env: Env },
  tls: TlsOptions | undefined,
  call: Call,
): Promise<TlsOptions | undefined> {
  const path = env('SSL_CERT_FILE') ?? '';
  if (tls?.ca !== undefined || path === '') return tls;
  try {
    const ca = new TextDecoder().decode(await fs.readFile(path, MAX_ROOTS_BYTES, call));
    if (ca.includes('-----BEGIN ')) return { ...tls, ca };
    warn(`SSL_CERT_FILE=${path} is not used: it holds no certificates in PEM form`);
  } catch (err) {
    call.signal?.throwIfAborted();
    warn(`SSL_CERT_FILE=${path} is not used: ${messageOf(err)}`);
  }
  return tls;
}
