/** The parts of a URL's authority (RFC 3986, 3.2) as sockets and look-ups take them. */

/** The hostname of a URL; an IPv6 address without its brackets. */
export function bareHost(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}

/** Of an http: or https: URL. */
export function portOf({ port, protocol }: URL): number {
  return Number(port || (protocol === 'https:' ? 443 : 80));
}
