/** Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY as Go's net/http reads them. */
import ipaddr from 'ipaddr.js';
import { HawserError } from '../errors.ts';
import type { ProxyChoice } from '../ports/transport.ts';
import { type Address, classify, parseAddress } from './addresses.ts';

const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;

/**
 * `undefined`: no proxy is configured at all. Upper case comes before lower. HTTP_PROXY is ignored in a CGI program
 * (REQUEST_METHOD is set), where a client of that program sets it. A URL that cannot be one is InvalidArgument.
 */
export function proxiesOf(env: (name: string) => string | undefined): ProxyChoice | undefined {
  const inCgi = (env('REQUEST_METHOD') ?? '') !== '';
  const plain = inCgi ? undefined : proxyUrl(env, 'HTTP_PROXY');
  const secure = proxyUrl(env, 'HTTPS_PROXY');
  if (plain === undefined && secure === undefined) return undefined;
  const excluded = parseNoProxy(env('NO_PROXY') || env('no_proxy') || '');
  return (url) => {
    const proxy = url.protocol === 'https:' ? secure : plain;
    return proxy === undefined || isExcluded(url, excluded) ? undefined : proxy;
  };
}

function proxyUrl(env: (name: string) => string | undefined, name: string): URL | undefined {
  const given = [name, name.toLowerCase()].find((one) => (env(one) ?? '') !== '');
  if (given === undefined) return undefined;
  const text = env(given)?.trim() ?? '';
  const full = SCHEME.test(text) ? text : `http://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url !== undefined && url.hostname !== '' && /^https?:$/.test(url.protocol)) return url;
  throw new HawserError('InvalidArgument', `${given} is not the URL of an HTTP proxy`, {
    hint: `Write it as http://HOST:PORT or https://HOST:PORT, or unset ${given}`,
  });
}

/** One entry of NO_PROXY. */
type Exclusion = (target: { host: string; port: string; address: Address | undefined }) => boolean;

/**
 * Entries between commas: `*`; an address or a CIDR range; `example.com` (it and what is below), `.example.com` and
 * `*.example.com` (what is below); all but ranges with a port if wanted.
 */
function parseNoProxy(text: string): readonly Exclusion[] {
  return text
    .split(/[,\s]+/)
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '')
    .map(exclusion);
}

function exclusion(entry: string): Exclusion {
  if (entry === '*') return () => true;
  if (entry.includes('/')) return range(entry);
  const [host, port] = splitPort(entry);
  const samePort = (candidate: string): boolean => port === undefined || port === candidate;
  const address = parseAddress(host)?.toString();
  if (address !== undefined) {
    return (target) => target.address?.toString() === address && samePort(target.port);
  }
  const below = `.${host.replace(/^\*?\./, '')}`;
  const itself = /^\*?\./.test(host) ? undefined : host;
  return (target) => (target.host === itself || target.host.endsWith(below)) && samePort(target.port);
}

function range(entry: string): Exclusion {
  const { IPv4, IPv6 } = ipaddr;
  if (!IPv4.isValidCIDRFourPartDecimal(entry) && !IPv6.isValidCIDR(entry)) return () => false;
  const block = ipaddr.parseCIDR(entry);
  return ({ address }) => address?.kind() === block[0].kind() && address.match(block);
}

/** `[::1]:80`, `::1`, `example.com:80`. */
function splitPort(entry: string): [host: string, port: string | undefined] {
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(entry);
  if (bracketed !== null) return [bracketed[1] ?? '', bracketed[2]];
  const named = /^([^:]*):(\d+)$/.exec(entry);
  return named === null ? [entry, undefined] : [named[1] ?? '', named[2]];
}

/** Go never proxies what is this very machine. */
function isExcluded(url: URL, excluded: readonly Exclusion[]): boolean {
  if (classify(url.hostname) === 'loopback') return true;
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  const target = { host, port, address: parseAddress(host) };
  return excluded.some((matches) => matches(target));
}
