/**
 * Where a registry may send us. Literal addresses that only mean something inside a machine or a private network are not
 * to be reached because a server outside says so (token realms, redirects).
 */

/** `special`: link-local, metadata services, unspecified, multicast, reserved. */
export type AddressClass = 'public' | 'private' | 'loopback' | 'special';

const METADATA_NAMES: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'instance-data',
]);

/** Of a URL's `hostname` (the URL parser has already made 0x7f.1 into 127.0.0.1). Names other than localhost are public. */
export function classify(hostname: string): AddressClass {
  const host = hostname.toLowerCase().replace(/\.$/, '');
  if (host.startsWith('[')) return classifyV6(host.slice(1, -1));
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) return classifyV4(host.split('.').map(Number));
  if (host === 'localhost' || host.endsWith('.localhost')) return 'loopback';
  return METADATA_NAMES.has(host) ? 'special' : 'public';
}

/** RFC 6890 and its successors; 168.63.129.16 is Azure's, 100.100.100.200 (in 100.64/10) Alibaba's metadata service. */
function classifyV4(parts: readonly number[]): AddressClass {
  const [a = 0, b = 0] = parts;
  const text = parts.join('.');
  if (a === 127) return 'loopback';
  if (a === 0 || a >= 224 || (a === 169 && b === 254)) return 'special';
  if (text === '168.63.129.16' || text === '100.100.100.200') return 'special';
  if (a === 10 || (a === 172 && b >= 16 && b <= 31) || (a === 192 && b === 168)) return 'private';
  if (a === 100 && b >= 64 && b <= 127) return 'private';
  return a === 198 && (b === 18 || b === 19) ? 'private' : 'public';
}

function classifyV6(text: string): AddressClass {
  const words = expandV6(text);
  const [first = 0] = words;
  const zeros = words.slice(0, 5).every((word) => word === 0);
  const embedded = words.slice(6).flatMap((word) => [word >> 8, word & 0xff]);
  if (zeros && words[5] === 0 && words[6] === 0 && (words[7] ?? 0) <= 1) {
    return words[7] === 1 ? 'loopback' : 'special';
  }
  if (zeros && (words[5] === 0xffff || words[5] === 0)) return classifyV4(embedded);
  if (first === 0x64 && words[1] === 0xff9b) return classifyV4(embedded);
  if (first === 0x2002) {
    return classifyV4([words[1] ?? 0, words[2] ?? 0].flatMap((word) => [word >> 8, word & 0xff]));
  }
  if ((first & 0xffc0) === 0xfe80 || (first & 0xff00) === 0xff00 || text === 'fd00:ec2::254')
    return 'special';
  return (first & 0xfe00) === 0xfc00 ? 'private' : 'public';
}

/** The eight words of an IPv6 address as the URL parser writes it. */
export function expandV6(text: string): number[] {
  const [head = '', tail] = text.split('::');
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  if (tail === undefined) return words(head);
  const [left, right] = [words(head), words(tail)];
  return [...left, ...new Array<number>(Math.max(0, 8 - left.length - right.length)).fill(0), ...right];
}

/** Why a redirect of this registry may not lead there; undefined when it may. */
export function redirectRefusal(target: URL, registry: URL): string | undefined {
  if (target.protocol !== 'https:' && target.protocol !== 'http:') return 'it is neither http nor https';
  if (target.host === registry.host) return undefined;
  const [there, here] = [classify(target.hostname), classify(registry.hostname)];
  if (there === 'public' || (there === here && there !== 'special')) return undefined;
  if (there === 'private' && here === 'loopback') return undefined;
  return `this registry may not lead to a ${there} address`;
}

/** Why this realm may not be asked for tokens; undefined when it may. */
export function realmRefusal(realm: URL, registry: URL): string | undefined {
  if (realm.protocol !== 'https:' && realm.protocol !== 'http:') return 'it is neither http nor https';
  if (realm.protocol === 'http:' && registry.protocol !== 'http:') {
    return 'it has no TLS, though the registry has';
  }
  if (realm.hostname === registry.hostname) return undefined;
  const there = classify(realm.hostname);
  if (there === 'public' || (there === 'loopback' && classify(registry.hostname) === 'loopback')) {
    return undefined;
  }
  return `a registry may not lead to a ${there} address other than its own`;
}
