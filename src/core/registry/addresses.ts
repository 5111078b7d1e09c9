/** What an address means: to all, inside a private network, to this machine; and which of them may name which. */
import ipaddr from 'ipaddr.js';

/** `special`: link-local, metadata services, unspecified, multicast, reserved. */
export type AddressClass = 'public' | 'private' | 'loopback' | 'special';

const METADATA_NAMES: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'instance-data',
]);

export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Metadata services at addresses that look ordinary: Azure's, Alibaba's (in 100.64/10), Amazon's and Google's by IPv6. */
const METADATA_ADDRESSES: ReadonlySet<string> = new Set([
  ...['168.63.129.16', '100.100.100.200', 'fd00:ec2::254', 'fd20:ce::254'],
]);

/** By the names that ipaddr.js gives to ranges (RFC 6890 and its successors). Other ranges are public, documentation's included. */
const CLASS_OF_RANGE: ReadonlyMap<string, AddressClass> = new Map([
  ['loopback', 'loopback'],
  ...['unspecified', 'linkLocal', 'multicast', 'broadcast'].map((range) => [range, 'special'] as const),
  ...['private', 'carrierGradeNat', 'uniqueLocal', 'deprecatedSiteLocal'].map(
    (range) => [range, 'private'] as const,
  ),
]);
/** `reserved` in ipaddr.js: 240/4 is nobody's; 198.18/15 (RFC 2544) is used inside networks. */
const RESERVED: readonly (readonly [range: string, AddressClass])[] = [
  ['240.0.0.0/4', 'special'],
  ['198.18.0.0/15', 'private'],
];

/** Of a URL's `hostname` (the URL parser has already made 0x7f.1 into 127.0.0.1). Names other than localhost are public. */
export function classify(hostname: string): AddressClass {
  const host = hostname.toLowerCase().replace(/\.$/, '');
  const address = parseAddress(host);
  if (address !== undefined) return classifyAddress(address);
  if (host === 'localhost' || host.endsWith('.localhost')) return 'loopback';
  return METADATA_NAMES.has(host) ? 'special' : 'public';
}

/** An IP address as URLs and NO_PROXY write it, with or without brackets; undefined for names. IPv4 in IPv6 is IPv4. */
export function parseAddress(text: string): Address | undefined {
  const bare = text.replace(/^\[|\]$/g, '');
  const { IPv4, IPv6 } = ipaddr;
  if (IPv4.isValidFourPartDecimal(bare)) return IPv4.parse(bare);
  return bare.includes(':') && IPv6.isValid(bare) ? ipaddr.process(bare) : undefined;
}

function classifyAddress(address: Address): AddressClass {
  if (METADATA_ADDRESSES.has(address.toString())) return 'special';
  const range = address.range();
  const known = CLASS_OF_RANGE.get(range);
  if (known !== undefined) return known;
  if (address instanceof ipaddr.IPv6) {
    const embedded = embeddedV4(address, range);
    return embedded === undefined ? 'public' : classifyAddress(embedded);
  }
  return RESERVED.find(([range]) => address.match(ipaddr.IPv4.parseCIDR(range)))?.[1] ?? 'public';
}

/** The IPv4 address that an IPv6 address leads to: by NAT64 (RFC 6052), 6to4 (RFC 3056), or compatible (`::10.0.0.1`). */
function embeddedV4(address: ipaddr.IPv6, range: string): ipaddr.IPv4 | undefined {
  const bytes = address.toByteArray();
  if (range === '6to4') return new ipaddr.IPv4(bytes.slice(2, 6));
  const compatible = bytes.slice(0, 12).every((byte) => byte === 0);
  return range === 'rfc6052' || compatible ? new ipaddr.IPv4(bytes.slice(12)) : undefined;
}

/** From what only this machine reaches to what all reach. */
const PRIVATE_FIRST: readonly AddressClass[] = ['loopback', 'private', 'public'];

/**
 * Whether a registry at an address of class `registry` may lead to an address of class `target`: to one that is as public as its own,
 * or more. Special addresses are nobody's to name.
 */
export function mayLead(registry: AddressClass, target: AddressClass): boolean {
  if (target === 'special') return false;
  return registry === 'special'
    ? target === 'public'
    : PRIVATE_FIRST.indexOf(target) >= PRIVATE_FIRST.indexOf(registry);
}

/** Of two classes the one from which more may be led to. */
export function morePrivate(a: AddressClass, b: AddressClass): AddressClass {
  return PRIVATE_FIRST.find((one) => one === a || one === b) ?? b;
}

/** Of an address as the system writes it; `special` for anything else. */
export function classOf(address: string): AddressClass {
  const parsed = parseAddress(address.replace(/%.*$/, ''));
  return parsed === undefined ? 'special' : classifyAddress(parsed);
}

/** The most public class of a name's addresses: a registry that all reach is a public one. */
export function mostPublic(classes: readonly AddressClass[]): AddressClass | undefined {
  return classes.toSorted((a, b) => PRIVATE_FIRST.indexOf(b) - PRIVATE_FIRST.indexOf(a))[0];
}
