/**
 * Path validation (RFC 5280 6.1) for signers of code, of what such certificates have; everything else is refused: name constraints and
 * unknown critical extensions (certificate.ts), policies, revocation lists in the path.
 */
import { createPublicKey, verify } from 'node:crypto';
import { useless } from '../../core/ports/signatures.ts';
import { OID, type Parsed } from './certificate.ts';

/** Certificates above the signer's. */
const MAX_DEPTH = 6;
/** Candidates that are tried, whatever the certificates of a stranger look like. */
const MAX_TRIES = 64;

/** Signature algorithms of certificates; SHA-1 and PSS are not among them. */
const ALGORITHMS: Readonly<Record<string, { readonly key: string; readonly digest: string | null }>> = {
  '1.2.840.10045.4.3.2': { key: 'ec', digest: 'sha256' },
  '1.2.840.10045.4.3.3': { key: 'ec', digest: 'sha384' },
  '1.2.840.10045.4.3.4': { key: 'ec', digest: 'sha512' },
  '1.2.840.113549.1.1.11': { key: 'rsa', digest: 'sha256' },
  '1.2.840.113549.1.1.12': { key: 'rsa', digest: 'sha384' },
  '1.2.840.113549.1.1.13': { key: 'rsa', digest: 'sha512' },
  '1.3.101.112': { key: 'ed25519', digest: null },
};

/** Bits of KeyUsage (RFC 5280 4.2.1.3). */
const [DIGITAL_SIGNATURE, CERT_SIGN] = [0, 5];

/**
 * A path leads from one of `roots` to the certificate of a signer of code, by way of `intermediates`, and everything in the path was valid
 * at `at` (milliseconds). PermissionDenied, with the reason of the path that came farthest.
 */
export function tracePath(
  signer: Parsed,
  roots: readonly Parsed[],
  intermediates: readonly Parsed[],
  at: number,
): void {
  checkSigner(signer);
  checkTime(signer, at);
  const search: Search = { roots, intermediates, at, tries: MAX_TRIES, deepest: -1, why: undefined };
  if (leadsToRoot(search, signer, 0)) return;
  throw search.why ?? useless('no authority of the policy has issued the certificate');
}

interface Search {
  readonly roots: readonly Parsed[];
  readonly intermediates: readonly Parsed[];
  readonly at: number;
  tries: number;
  deepest: number;
  why: unknown;
}

/** `below`: the certificates of authorities between this one and the signer. */
function leadsToRoot(search: Search, certificate: Parsed, below: number): boolean {
  if (below >= MAX_DEPTH) return false;
  const isUp = (one: Parsed) => one.x509.subject.equals(certificate.x509.issuer);
  const [roots, others] = [search.roots.filter(isUp), search.intermediates.filter(isUp)];
  for (const authority of [...roots, ...others]) {
    if (search.tries-- <= 0) return false;
    try {
      checkAuthority(authority, below);
      checkTime(authority, search.at);
      checkIssued(certificate, authority);
    } catch (err) {
      if (below > search.deepest) [search.deepest, search.why] = [below, err];
      continue;
    }
    if (roots.includes(authority) || leadsToRoot(search, authority, below + 1)) return true;
  }
  return false;
}

function checkSigner({ x509 }: Parsed): void {
  if (x509.extBasicConstraints?.isCA === true) throw useless('the certificate is an authority’s');
  if (usageOf(x509)?.[DIGITAL_SIGNATURE] !== 1) throw useless('the certificate is not for signatures');
  if (purposesOf(x509)?.includes(OID.codeSigning) !== true)
    throw useless('the certificate is not for signing code');
}

/** An authority that names purposes must name ours: its certificates cannot be for more than the authority's own. */
function checkAuthority({ x509 }: Parsed, below: number): void {
  const { extBasicConstraints: constraints } = x509;
  if (constraints?.isCA !== true) throw useless('the certificate was issued by one that is no authority’s');
  const usage = usageOf(x509);
  if (usage !== undefined && usage[CERT_SIGN] !== 1)
    throw useless('an authority’s certificate may not sign others');
  const purposes = purposesOf(x509);
  if (purposes !== undefined && !purposes.includes(OID.codeSigning))
    throw useless('an authority is not for signing code');
  const most = constraints.pathLenConstraint;
  if (most !== undefined && most < BigInt(below))
    throw useless('the path is longer than an authority allows');
}

function checkTime({ x509 }: Parsed, at: number): void {
  if (!(x509.notBefore.getTime() <= at && at <= x509.notAfter.getTime())) {
    const [from, to, then] = [x509.notBefore, x509.notAfter, new Date(at)].map((one) => one.toISOString());
    throw useless(`a certificate was valid from ${from} to ${to}, not at ${then}`);
  }
}

function checkIssued({ x509 }: Parsed, authority: Parsed): void {
  const [, algorithm, value] = x509.root.subs;
  const oid = algorithm?.subs[0]?.toOID() ?? '';
  const known = Object.hasOwn(ALGORITHMS, oid) ? ALGORITHMS[oid] : undefined;
  if (known === undefined) throw useless(`signature algorithm ${oid} is not taken`);
  const key = createPublicKey({ key: Buffer.from(authority.key.der), format: 'der', type: 'spki' });
  if (key.asymmetricKeyType !== known.key) throw useless('a certificate is signed by another kind of key');
  // A BIT STRING: the first byte counts unused bits.
  if (value === undefined || value.value[0] !== 0) throw useless('a certificate has no signature');
  let holds = false;
  try {
    holds = verify(known.digest, x509.tbsCertificate.toDER(), key, value.value.subarray(1));
  } catch {
    // A signature of no form.
  }
  if (!holds) throw useless('no authority of the policy has signed the certificate');
}

function usageOf(x509: Parsed['x509']): readonly number[] | undefined {
  return x509.extension(OID.keyUsage)?.valueObj.subs[0]?.toBitString();
}

function purposesOf(x509: Parsed['x509']): readonly string[] | undefined {
  return x509.extension(OID.extendedKeyUsage)?.valueObj.subs[0]?.subs.map((one) => one.toOID());
}
