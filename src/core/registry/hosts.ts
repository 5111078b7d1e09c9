import type { TlsOptions } from '../ports/transport.ts';
import type { Reference } from '../reference/reference.ts';
import { classify } from './addresses.ts';

/** A place to ask for the content of a namespace. */
export interface Host {
  /** What credentials are looked up by. */
  readonly name: string;
  /** Up to and with the API's root, without a slash at the end: `https://registry-1.docker.io/v2`. */
  readonly base: URL;
  /** Set for mirrors: sent as the `ns` parameter. */
  readonly namespace?: string | undefined;
}

export type Operation = 'resolve' | 'fetch';

/** Where to ask, in order. */
export type Hosts = (reference: Reference, operation: Operation) => readonly Host[];

export interface SchemeOptions {
  readonly plainHttp?: boolean | undefined;
  readonly tls?: TlsOptions | undefined;
}

/**
 * The registry that a reference names. docker.io is registry-1.docker.io and always TLS. TLS else too, but for
 * `plainHttp`, and for a loopback host with a port other than 443 for which no TLS setting was given. There is no
 * falling back from one to the other.
 */
export function defaultHosts(options: SchemeOptions): Hosts {
  return (reference) => {
    const { host } = reference;
    if (host === 'docker.io') return [{ name: host, base: new URL('https://registry-1.docker.io/v2') }];
    return [{ name: host, base: new URL(`${schemeOf(host, options)}://${host}/v2`) }];
  };
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

/** The URL of `manifests/<object>` or `blobs/<object>` of a repository. */
export function objectUrl(host: Host, repository: string, kind: 'manifests' | 'blobs', object: string): URL {
  const url = new URL(host.base);
  url.pathname = `${url.pathname}/${repository}/${kind}/${object}`;
  if (host.namespace !== undefined) url.searchParams.set('ns', host.namespace);
  return url;
}
