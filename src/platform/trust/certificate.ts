/** Certificates of signers (RFC 5280), with the parser of @sigstore/core, which says nothing of what it does not know: we do. */
import { messageOf } from '../../core/errors.ts';
import { type Certificate, useless } from '../../core/ports/signatures.ts';
import { keyOf, pemBlocks, unusable } from './keys.ts';
import { type ASN1Obj, X509Certificate } from './libraries.ts';

/** A certificate, and what the parser has made of it. */
export interface Parsed extends Certificate {
  readonly x509: X509Certificate;
}

export const OID = {
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  extendedKeyUsage: '2.5.29.37',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  /** Fulcio's issuer: as bare bytes, and later as a UTF8String. */
  issuerV1: '1.3.6.1.4.1.57264.1.1',
  issuerV2: '1.3.6.1.4.1.57264.1.8',
} as const;

/** Critical extensions that the checks here know. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID.keyUsage,
  OID.alternativeNames,
  OID.basicConstraints,
  OID.extendedKeyUsage,
]);

/** More certificates in one file are refused. */
const MAX_CERTIFICATES = 64;

export function certificates(pem: Uint8Array): Parsed[] {
  const hint = 'Such a file holds certificates in PEM form, "-----BEGIN CERTIFICATE-----", and nothing else';
  const blocks = pemBlocks(Buffer.from(pem).toString('latin1'), 'CERTIFICATE');
  if (blocks.length === 0) throw unusable('not certificates in PEM', hint);
  if (blocks.length > MAX_CERTIFICATES) throw unusable(`more than ${MAX_CERTIFICATES} certificates`, hint);
  return blocks.map(parseCertificate);
}

/** PermissionDenied for what is not DER, not X.509 v3, or has a critical extension that nobody here understands. */
export function parseCertificate(der: Uint8Array): Parsed {
  try {
    const x509 = X509Certificate.parse(Buffer.from(der));
    if (!x509.root.toDER().equals(der)) throw useless('it is not in DER');
    checkForm(x509);
    return { x509, der, key: keyOf(x509.publicKey), ...namesOf(x509), issuer: issuerOf(x509) };
  } catch (err) {
    throw useless(`a certificate cannot be used: ${messageOf(err)}`, err);
  }
}

function checkForm(x509: X509Certificate): void {
  const [version, , algorithm] = x509.tbsCertificate.subs;
  if (version?.tag.isContextSpecific(0) !== true || x509.version !== 'v3')
    throw useless('it is not X.509 v3');
  // RFC 5280 4.1.1.2: the signed name of the algorithm is that outside.
  if (algorithm === undefined || x509.root.subs[1]?.toDER().equals(algorithm.toDER()) !== true)
    throw useless('it names two algorithms');
  const ids = x509.extensions.map(oidOf);
  if (new Set(ids).size !== ids.length) throw useless('it has an extension twice');
  for (const one of x509.extensions) {
    const oid = oidOf(one);
    if (isCritical(one) && !UNDERSTOOD.has(oid)) throw useless(`critical extension ${oid} is not known`);
  }
  if (ids.includes(OID.nameConstraints)) throw useless('name constraints are not known');
}

function oidOf(extension: ASN1Obj): string {
  const [id] = extension.subs;
  if (id === undefined) throw useless('an extension has no name');
  return id.toOID();
}

function isCritical({ subs }: ASN1Obj): boolean {
  return subs.length > 2 && subs[1]?.toBoolean() === true;
}

/** Tags of GeneralName (RFC 5280 4.2.1.6). */
const [EMAIL, HOST, URI] = [1, 2, 6];

function namesOf(x509: X509Certificate): Pick<Certificate, 'emails' | 'uris' | 'hosts'> {
  const names = x509.extension(OID.alternativeNames)?.valueObj.subs[0]?.subs ?? [];
  const of = (kind: number) => names.filter(({ tag }) => tag.isContextSpecific(kind)).map(nameOf);
  return { emails: of(EMAIL), hosts: of(HOST), uris: of(URI) };
}

/** An IA5String that is shown and compared as it is. */
function nameOf({ value }: ASN1Obj): string {
  const name = value.toString('latin1');
  if (!/^[\x21-\x7e]{1,2048}$/.test(name)) throw useless('one of its names is not printable ASCII');
  return name;
}

/** Both extensions may be there, with the same issuer: to two that differ readers would answer differently. */
function issuerOf(x509: X509Certificate): string | undefined {
  const old = x509.extension(OID.issuerV1)?.value.toString('utf8');
  const [text] = x509.extension(OID.issuerV2)?.valueObj.subs ?? [];
  const now = text?.value.toString('utf8');
  if (old !== undefined && now !== undefined && old !== now) throw useless('it names two issuers');
  return now ?? old;
}
