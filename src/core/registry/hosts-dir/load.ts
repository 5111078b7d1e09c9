/**
 * Hosts from directories as containerd and Docker have them (certs.d): `<root>/<host>_<port>_/hosts.toml` and so on. A
 * directory that exists decides, or is an error: after a broken file the registry itself is never asked by default.
 */
import { HawserError, ifFound, isKind, messageOf } from '../../errors.ts';
import type { Call } from '../../ports/call.ts';
import type { TlsOptions } from '../../ports/transport.ts';
import { ALL_CAPABILITIES, defaultHost, type Host, type Hosts, type SchemeOptions } from '../hosts.ts';
import { dockerCerts, type ReadFiles, type TlsFiles, tlsOf } from './tls-files.ts';
import { type HostEntry, parseHostsToml } from './toml.ts';

/** Used when no directory is given. */
const DEFAULT_HOSTS_DIRS: readonly string[] = ['/etc/containerd/certs.d', '/etc/docker/certs.d'];

const MAX_TOML_BYTES = 256 * 1024;

export interface HostsDirDeps {
  readonly fs: ReadFiles;
  /** Called for settings without effect: unknown keys, default directories that may not be read. */
  readonly warn: (message: string) => void;
}

export interface HostsDirOptions extends SchemeOptions {
  /** The only directory to read; it must exist. */
  readonly dir?: string | undefined;
}

/** The hosts of a namespace by the first directory for it; the registry itself when there is none. */
export function hostsFromDirs(deps: HostsDirDeps, options: HostsDirOptions): Hosts {
  return async ({ host: namespace }, call) => {
    const dir = await findDirectory(deps, namespace, options.dir, call);
    if (dir === undefined) return { source: 'default', hosts: [defaultHost(namespace, options)] };
    const file = `${dir}/hosts.toml`;
    const text = await readText(deps.fs, file, call);
    if (text === '') {
      const files = await dockerCerts(deps.fs, dir, call);
      warnOfMore(deps, files);
      return { source: dir, hosts: [ownHost(namespace, options, await tlsOf(deps.fs, dir, files, call))] };
    }
    const { entries, warnings } = parseHostsToml(text, file);
    for (const warning of warnings) deps.warn(warning);
    const hosts: Host[] = [];
    for (const entry of entries) {
      warnOfMore(deps, entry);
      addOnce(hosts, hostOf(namespace, entry, await tlsOf(deps.fs, dir, entry, call), options));
    }
    return { source: file, hosts };
  };
}

function warnOfMore({ warn }: HostsDirDeps, { client, where }: TlsFiles): void {
  if (client.length > 1) {
    warn(`${where('client')}: only the first of ${client.length} client certificates is used`);
  }
}

/** `myreg.io:5000`: `myreg.io_5000_`, `myreg.io:5000`, `_default`: the first that exists, in the first root that has one. */
async function findDirectory(
  { fs, warn }: HostsDirDeps,
  namespace: string,
  given: string | undefined,
  call: Call,
): Promise<string | undefined> {
  if (given !== undefined) {
    await mustBeThere(fs, given, call);
    return await firstOf(fs, candidates(given, namespace), call);
  }
  for (const root of DEFAULT_HOSTS_DIRS) {
    try {
      const found = await firstOf(fs, candidates(root, namespace), call);
      if (found !== undefined) return found;
    } catch (err) {
      if (!isKind(err, 'PermissionDenied')) throw err;
      warn(`${root} may not be read, and is not used: ${messageOf(err)}`);
    }
  }
  return undefined;
}

async function mustBeThere(fs: ReadFiles, dir: string, call: Call): Promise<void> {
  try {
    await fs.list(dir, call);
  } catch (err) {
    if (!isKind(err, 'NotFound')) throw err;
    const hint = 'Give an existing directory to --hosts-dir, or leave it away';
    throw new HawserError('InvalidArgument', `Cannot use the hosts directory ${dir}: ${messageOf(err)}`, {
      hint,
    });
  }
}

function candidates(root: string, namespace: string): string[] {
  const colon = namespace.lastIndexOf(':');
  const mangled = colon > 0 ? [`${namespace.slice(0, colon)}_${namespace.slice(colon + 1)}_`] : [];
  return [...mangled, namespace, '_default'].map((name) => `${root.replace(/\/+$/, '')}/${name}`);
}

async function firstOf(fs: ReadFiles, dirs: readonly string[], call: Call): Promise<string | undefined> {
  for (const dir of dirs) {
    if ((await ifFound(fs.list(dir, call))) !== undefined) return dir;
  }
  return undefined;
}

/** '' when absent: an empty file is as good as none. */
async function readText(fs: ReadFiles, file: string, call: Call): Promise<string> {
  return new TextDecoder().decode(await ifFound(fs.readFile(file, MAX_TOML_BYTES, call)));
}

/** The namespace's own registry, with its directory's TLS settings. */
function ownHost(namespace: string, options: SchemeOptions, tls: TlsOptions | undefined): Host {
  const own = defaultHost(namespace, { ...options, tls: { ...options.tls, ...tls } });
  return tls === undefined ? own : { ...own, tls };
}

function hostOf(
  namespace: string,
  entry: HostEntry,
  tls: TlsOptions | undefined,
  options: SchemeOptions,
): Host {
  const { base, capabilities, headers, dialTimeout, reach } = entry;
  const own = base === undefined || isOwn(base, namespace);
  const host: Host =
    base === undefined
      ? ownHost(namespace, options, tls)
      : {
          name: own ? namespace : base.host,
          base,
          ...(own ? {} : { namespace }),
          capabilities: ALL_CAPABILITIES,
          ...(tls === undefined ? {} : { tls }),
        };
  return {
    ...host,
    ...(capabilities === undefined ? {} : { capabilities }),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(dialTimeout === undefined ? {} : { dialTimeout }),
    ...(reach === undefined ? {} : { reach }),
  };
}

/** Not a mirror: the namespace's credentials are meant for it, and it is sent no `ns`. */
function isOwn(base: URL, namespace: string): boolean {
  if (namespace === 'docker.io') return base.host === 'registry-1.docker.io' || base.host === 'docker.io';
  return base.host === new URL(`${base.protocol}//${namespace}`).host;
}

/** A host that is listed twice is asked once, unless the second may be asked for more. */
function addOnce(hosts: Host[], host: Host): void {
  const same = hosts.find(({ base }) => base.href === host.base.href);
  const more = (['pull', 'resolve'] as const).some(
    (one) => host.capabilities.includes(one) && !same?.capabilities.includes(one),
  );
  if (same === undefined || more) hosts.push(host);
}
