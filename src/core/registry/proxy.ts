/** Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY as Go's net/http reads them. */
import ipaddr from 'ipaddr.js';
import { HawserError } from '../errors.ts';
import type { ProxyChoice } from '../ports/transport.ts';
import { type Address, classify, parseAddress } from './addresses.ts';

const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;

type Env = (name: string) => string | undefined;

/**
 * `undefined`: no proxy is configured at all. Upper case comes before lower. HTTP_PROXY is ignored in a CGI program
 * (REQUEST_METHOD is set), where a client of that program sets it. HTTP and SOCKS5 proxies; another value is InvalidArgument for
 * requests that would go through it, and harms no other.
 */
export function proxiesOf(env: Env): ProxyChoice | undefined {
  const inCgi = (env('REQUEST_METHOD') ?? '') !== '';
  const plain = inCgi ? undefined : setting(env, 'HTTP_PROXY');
  const secure = setting(env, 'HTTPS_PROXY');
  if (plain === undefined && secure === undefined) return undefined;
  const excluded = parseNoProxy(env('NO_PROXY') || env('no_proxy') || '');
  return (url) => {
    const proxy = url.protocol === 'https:' ? secure : plain;
    return proxy === undefined || isExcluded(url, excluded) ? undefined : parseProxy(proxy);
  };
}

interface Setting {
  /** The variable. */
  readonly name: string;
  readonly value: string;
}

function setting(env: Env, name: string): Setting | undefined {
  const given = [name, name.toLowerCase()].find((one) => (env(one) ?? '') !== '');
  return given === undefined ? undefined : { name: given, value: env(given)?.trim() ?? '' };
}

function parseProxy({ name, value }: Setting): URL {
  const full = SCHEME.test(value) ? value : `http://${value}`;
  // With socks5h the proxy looks names up, as it does here with socks5 too.
  const text = full.replace(/^socks5h:/i, 'socks5:');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && url.hostname !== '' && /^(?:https?|socks5):$/.test(url.protocol)) return url;
  throw new HawserError('InvalidArgument', `${name} is not the URL of an HTTP or SOCKS5 proxy`, {
    hint: `Write it as http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT, or unset ${name}`,
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
