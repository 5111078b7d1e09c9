/** The libraries of the sigstore project, as they are to be used. Nobody else imports them. */
import { crypto } from '@sigstore/core';

export { bundleFromJSON, type TransparencyLogEntry } from '@sigstore/bundle';
export { ASN1Obj, X509Certificate } from '@sigstore/core';
export { TrustedRoot } from '@sigstore/protobuf-specs';
export {
  type SignedEntity,
  type TrustMaterial,
  toSignedEntity,
  toTrustMaterial,
  VerificationError,
  Verifier,
} from '@sigstore/verify';

type Verify = typeof crypto.verify;

let isMended = false;

/**
 * The library leaves the digest away, which OpenSSL takes for SHA-256. Deno has no such default, throws, and the library tells of a false
 * signature. To be called before the first check: a bundler drops what a module does only by being loaded.
 * test/unit/platform/trust/libraries.test.ts says when the library names the digest itself.
 */
export function nameDigests(): void {
  if (isMended) return;
  isMended = true;
  const asPublished: Verify = crypto.verify;
  const verify: Verify = (data, key, signature, algorithm) =>
    asPublished(data, key, signature, algorithm ?? digestFor(key));
  Object.assign(crypto, { verify });
}

function digestFor(key: Parameters<Verify>[1]): string | undefined {
  const isPlain =
    typeof key === 'object' && 'asymmetricKeyType' in key && key.asymmetricKeyType === 'ed25519';
  return isPlain ? undefined : 'sha256';
}
