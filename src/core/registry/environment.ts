/** The machine's settings for registries: certs.d directories, proxies, trusted certificates, credentials of other tools. */
import { ifFound, messageOf } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { TlsOptions } from '../ports/transport.ts';
import type { Runtime } from '../runtime.ts';
import type { Credentials } from './credentials/credential.ts';
import { firstOf, storedCredentials } from './credentials/sources.ts';
import { hostsFromDirs } from './hosts-dir/load.ts';
import type { RegistryOptions } from './open.ts';
import { proxiesOf } from './proxy.ts';
import type { Roots } from './transport-pool.ts';

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
const MAX_ROOT_FILES = 5_000;
const PEM = '-----BEGIN ';

/** Options of a registry client as the environment has them. */
export function environmentOptions(
  { fs, host, programs }: Pick<Runtime, 'fs' | 'host' | 'programs'>,
  options: EnvironmentOptions,
): RegistryOptions {
  const { hostsDir, plainHttp, tls, warn } = options;
  const given = options.credentials ?? (async () => undefined);
  const env: Env = (name) => host.env(name);
  // Roots for all registries are no sign that a local one speaks TLS: only options of this pull choose a scheme.
  const hosts = hostsFromDirs({ fs, warn }, { dir: hostsDir, plainHttp, tls });
  const credentials = firstOf(given, storedCredentials({ fs, programs, env, warn, uid: host.uid }));
  const roots = (call: Call) => machineRoots({ fs, env, warn }, tls, call);
  return { hosts, tls, roots, credentials, proxy: proxiesOf(env), plainHttp };
}

type Reading = Pick<Runtime, 'fs'> & Pick<EnvironmentOptions, 'warn'> & { readonly env: Env };

/**
 * SSL_CERT_FILE replaces the system's roots, and SSL_CERT_DIR (directories between colons) adds to them, as for OpenSSL and Go; a CA
 * that was given replaces all of them. What cannot be read is told of and not used, as there.
 */
async function machineRoots(reading: Reading, given: TlsOptions | undefined, call: Call): Promise<Roots> {
  if (given?.ca !== undefined) return {};
  const ca = await rootsOfFile(reading, call);
  const more = await rootsOfDirs(reading, call);
  const extraCa = [...(given?.extraCa === undefined ? [] : [given.extraCa]), ...more].join('\n');
  return { ...(ca === undefined ? {} : { ca }), ...(extraCa === '' ? {} : { extraCa }) };
}

async function rootsOfFile({ fs, env, warn }: Reading, call: Call): Promise<string | undefined> {
  const path = env('SSL_CERT_FILE') ?? '';
  if (path === '') return undefined;
  try {
    const text = new TextDecoder().decode(await fs.readFile(path, MAX_ROOTS_BYTES, call));
    if (text.includes(PEM)) return text;
    warn(`SSL_CERT_FILE=${path} is not used: it holds no certificates in PEM form`);
  } catch (err) {
    call.signal?.throwIfAborted();
    warn(`SSL_CERT_FILE=${path} is not used: ${messageOf(err)}`);
  }
  return undefined;
}

/** The certificates in the files of the directories, each once: links by hash name the same files. */
async function rootsOfDirs({ fs, env, warn }: Reading, call: Call): Promise<string[]> {
  const found = new Set<string>();
  let left = MAX_ROOTS_BYTES;
  for (const dir of (env('SSL_CERT_DIR') ?? '').split(':').filter((one) => one !== '')) {
    try {
      for (const { name, type } of (await fs.list(dir, call)).slice(0, MAX_ROOT_FILES)) {
        if (type === 'directory') continue;
        const bytes = await ifFound(
          fs.readFile(`${dir}/${name}`, left, call),
          'PermissionDenied',
          'ResourceExhausted',
        );
        const text = new TextDecoder().decode(bytes ?? new Uint8Array());
        if (!text.includes(PEM) || found.has(text)) continue;
        found.add(text);
        left -= text.length;
      }
    } catch (err) {
      call.signal?.throwIfAborted();
      warn(`SSL_CERT_DIR=${dir} is not used: ${messageOf(err)}`);
    }
  }
  return [...found];
}
