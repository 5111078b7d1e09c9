import { type Certificate, type Signed, type SigningKey, useless } from '../ports/signatures.ts';
import type { SignerIdentity } from './requirements.ts';
import type { Voucher } from './verdict.ts';

/** Who has signed, as far as that was checked. `at`: milliseconds since the epoch, by a log or a timestamp authority. */
export interface Signer extends Pick<Voucher, 'by' | 'signer' | 'issuer'> {
  readonly at?: number | undefined;
}

/** The key that the signature is by. PermissionDenied: none of them. */
export function byKeys(keys: readonly SigningKey[], { payload, signature }: Signed): SigningKey {
  const key = keys.find((one) => one.verify(payload, signature));
  if (key === undefined) throw useless('is by another key');
  return key;
}

/** The identity that a certificate has: subject and issuer are compared as they are, nothing is a pattern. */
export function requireIdentity(
  { emails, uris, issuer }: Pick<Certificate, 'emails' | 'uris' | 'issuer'>,
  identities: readonly SignerIdentity[],
): SignerIdentity {
  const names = [...emails, ...uris];
  const found = identities.find((one) => one.issuer === issuer && names.includes(one.subject));
  if (found !== undefined) return found;
  const who = names.length === 0 ? 'nobody by name' : names.slice(0, 3).join(', ').slice(0, 200);
  throw useless(`is by ${who} (issuer ${(issuer ?? 'not told').slice(0, 200)})`);
}
