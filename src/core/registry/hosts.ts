import type { Call } from '../ports/call.ts';
import type { TlsOptions } from '../ports/transport.ts';
import type { Reference } from '../reference/reference.ts';
import { classify } from './addresses.ts';

/** Operations that a host is configured for (hosts.toml's words). */
export type Capability = 'pull' | 'resolve' | 'push' | 'referrers';

export const ALL_CAPABILITIES: readonly Capability[] = ['pull', 'resolve', 'push', 'referrers'];

/** A place to ask for the content of a namespace. */
export interface Host {
  /** The key for credentials: the registry's name as references write it, or a mirror's `host:port`. */
  readonly name: string;
  /** The API's root, without a slash at the end: `https://registry-1.docker.io/v2`. */
  readonly base: URL;
  /** Set for mirrors: sent as the `ns` parameter. */
  readonly namespace?: string | undefined;
  readonly capabilities: readonly Capability[];
  /** Sent to this origin only; they replace our headers of the same name. Names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** For this origin only, over the settings for all; but `extraCa` also holds for the targets of its redirects. */
  readonly tls?: TlsOptions | undefined;
  /** The host may lead (redirects, token servers) to addresses of this class and more public ones, whatever its own address is. */
  readonly reach?: 'private' | 'loopback' | undefined;
  /** Milliseconds to connect. */
  readonly dialTimeout?: number | undefined;
}

/** What a host is asked for: which digest a name has, content by digest, a list, or to take content. */
export type Operation = 'resolve' | 'fetch' | 'tags' | 'catalog' | 'referrers' | 'push';

/** The hosts of a namespace, in order. `source` configured them: a file, a directory, or `default`. */
export interface HostList {
  readonly source: string;
  readonly hosts: readonly Host[];
}

/** Asked once for each namespace (the reference's host). Unusable configuration is an error, never another list. */
export type Hosts = (reference: Reference, call: Call) => Promise<HostList>;

export interface SchemeOptions {
  readonly plainHttp?: boolean | undefined;
  readonly tls?: TlsOptions | undefined;
}

/** The registry that each reference names, and nothing else. */
export function defaultHosts(options: SchemeOptions): Hosts {
  return async (reference) => ({ source: 'default', hosts: [defaultHost(reference.host, options)] });
}

/**
 * The registry of a namespace. docker.io is registry-1.docker.io and always TLS. Other registries speak TLS too, unless
 * `plainHttp` is set, or a loopback host has a port other than 443 and no TLS setting. Neither scheme falls back to the other.
 */
export function defaultHost(namespace: string, options: SchemeOptions): Host {
  const base =
    namespace === 'docker.io'
      ? 'https://registry-1.docker.io/v2'
      : `${schemeOf(namespace, options)}://${namespace}/v2`;
  return { name: namespace, base: new URL(base), capabilities: ALL_CAPABILITIES };
}

function schemeOf(host: string, { plainHttp, tls }: SchemeOptions): 'http' | 'https' {
  if (plainHttp === true) return 'http';
  const url = new URL(`http://${host}`);
  const port = /:(\d+)$/.exec(host)?.[1];
  const chosen =
    tls !== undefined && Object.values(tls).some((value) => value !== undefined && value !== false);
  const local =
    url.hostname === 'localhost' || (classify(url.hostname) === 'loopback' && /^[[\d]/.test(host));
  return local && port !== undefined && Number(port) !== 443 && !chosen ? 'http' : 'https';
}

/**
 * Whether the host may be asked: tags need `pull` and `resolve`, all else `pull` (containerd asks only the first time). A mirror lists what
 * the mirror has, so the lists of a registry are asked of itself only; files from before `referrers` do not say it of the registry.
 */
export function isCapable(host: Host, operation: Operation, { digest }: Pick<Reference, 'digest'>): boolean {
  const { capabilities, namespace } = host;
  if (operation === 'push') return capabilities.includes('push');
  if (!capabilities.includes('pull')) return false;
  if (operation === 'referrers') return namespace === undefined || capabilities.includes('referrers');
  if (isList(operation) && namespace !== undefined) return false;
  const byDigest = operation === 'fetch' || (operation === 'resolve' && digest !== undefined);
  return byDigest || capabilities.includes('resolve');
}

/** Tags of a repository, or repositories of a registry. */
export function isList(operation: Operation): boolean {
  return operation === 'tags' || operation === 'catalog';
}

/** The URL of `manifests/<object>` or `blobs/<object>` of a repository. */
export function objectUrl(
  host: Pick<Host, 'base' | 'namespace'>,
  repository: string,
  kind: 'manifests' | 'blobs',
  object: string,
): URL {
  return apiUrl(host, `${repository}/${kind}/${object}`);
}

/** The URL of a path below the API's root. */
export function apiUrl({ base, namespace }: Pick<Host, 'base' | 'namespace'>, path: string): URL {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${path}`;
  if (namespace !== undefined) url.searchParams.set('ns', namespace);
  return url;
}
