/** Certificates, good and bad, out of their parts: DER by hand, so that each rule of RFC 5280 can be broken alone. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

type Bytes = Uint8Array;

function lengthOf(count: number): Buffer {
  if (count < 128) return Buffer.from([count]);
  const hex = count.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 1 ? `0${hex}` : hex, 'hex');
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}

const tlv = (tag: number, ...parts: readonly Bytes[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body]);
};
const sequence = (...parts: readonly Bytes[]): Buffer => tlv(0x30, ...parts);
const text = (value: string): Buffer => tlv(0x0c, Buffer.from(value));
const small = (value: number): Buffer => tlv(2, Buffer.from([value]));
const TRUE = Buffer.from([1, 1, 0xff]);

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 127];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 127) | 128);
    bytes.push(...groups);
  }
  return tlv(6, Buffer.from(bytes));
}

const time = (at: number): Buffer =>
  tlv(0x18, Buffer.from(`${new Date(at).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`));
const name = (common: string): Buffer =>
  common === '' ? sequence() : sequence(tlv(0x31, sequence(oid('2.5.4.3'), text(common))));

const extension = (id: string, value: Bytes, isCritical = false): Buffer =>
  sequence(oid(id), ...(isCritical ? [TRUE] : []), tlv(4, value));

export interface Subject {
  readonly name: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export const subject = (common: string, curve = 'P-256'): Subject => ({
  name: common,
  ...generateKeyPairSync('ec', { namedCurve: curve }),
});

const SHA256_ECDSA = '1.2.840.10045.4.3.2';
export const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
/** Bits of KeyUsage, as bytes of its BIT STRING. */
export const SIGNS: readonly number[] = [7, 0x80];
export const SIGNS_CERTIFICATES: readonly number[] = [1, 0x06];

export interface Parts {
  readonly from?: number;
  readonly to?: number;
  /** Of an authority; with a number, its pathLenConstraint. */
  readonly authority?: boolean | number;
  /** Undefined: no such extension. */
  readonly usage?: readonly number[] | undefined;
  readonly purposes?: readonly string[] | undefined;
  readonly emails?: readonly string[];
  readonly uris?: readonly string[];
  /** Whole extensions: OID, whether it is critical, value. */
  readonly more?: readonly (readonly [string, boolean, Bytes])[];
  readonly algorithm?: string;
  /** The one that is outside of what is signed. */
  readonly outerAlgorithm?: string;
  /** 2: X.509 v3. */
  readonly version?: number;
  /** Whom it says it is issued by. */
  readonly issuerName?: string;
}

export const NOW: number = Date.UTC(2026, 10, 30);
export const DAY: number = 86_400_000;

function extensionsOf(parts: Parts): readonly Buffer[] {
  const { authority = false, emails = [], uris = [], more = [] } = parts;
  const names = [
    ...emails.map((one) => tlv(0x81, Buffer.from(one))),
    ...uris.map((one) => tlv(0x86, Buffer.from(one))),
  ];
  const usage = 'usage' in parts ? parts.usage : authority === false ? SIGNS : SIGNS_CERTIFICATES;
  const purposes = 'purposes' in parts ? parts.purposes : authority === false ? [CODE_SIGNING] : undefined;
  const constraints = sequence(TRUE, ...(typeof authority === 'number' ? [small(authority)] : []));
  return [
    ...(authority === false ? [] : [extension('2.5.29.19', constraints, true)]),
    ...(usage === undefined ? [] : [extension('2.5.29.15', tlv(3, Buffer.from(usage)), true)]),
    ...(purposes === undefined ? [] : [extension('2.5.29.37', sequence(...purposes.map(oid)))]),
    ...(names.length === 0 ? [] : [extension('2.5.29.17', sequence(...names), true)]),
    ...more.map(([id, isCritical, value]) => extension(id, value, isCritical)),
  ];
}

/** The DER of a certificate of `of`, issued by `by`. */
export function certificate(of: Subject, by: Subject, parts: Parts = {}): Uint8Array {
  const { from = NOW - DAY, to = NOW + DAY, algorithm = SHA256_ECDSA, version = 2 } = parts;
  const signed = sequence(
    tlv(0xa0, small(version)),
    small(7),
    sequence(oid(algorithm)),
    name(parts.issuerName ?? by.name),
    sequence(time(from), time(to)),
    name(of.name),
    of.publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensionsOf(parts))),
  );
  const signature = sign('sha256', signed, by.privateKey);
  const outer = sequence(oid(parts.outerAlgorithm ?? algorithm));
  return sequence(signed, outer, tlv(3, Buffer.from([0]), signature));
}

export function pem(...ders: readonly Uint8Array[]): Uint8Array {
  const blocks = ders.map((der) => {
    const lines =
      Buffer.from(der)
        .toString('base64')
        .match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
  });
  return Buffer.from(blocks.join(''));
}
