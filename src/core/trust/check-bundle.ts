/** Whether a sigstore bundle is a signature of this image by somebody whom the policy trusts. No name of an image is in a bundle. */
import type { Digest } from '../oci/digest.ts';
import type { JsonObject } from '../oci/json.ts';
import { useless } from '../ports/signatures.ts';
import type { Trusted } from './material.ts';
import { readEnvelope, requireSignatureOf } from './payload.ts';
import { byKeys, requireIdentity, type Signer } from './signer.ts';

/** PermissionDenied, or InvalidArgument, for one that does not count. What the bundle says of its key is not looked at: ours decides. */
export function checkBundle(trusted: Trusted, bundle: JsonObject, digest: Digest): Signer {
  const { payload, signature, signed } = readEnvelope(bundle.dsseEnvelope);
  const signer = signerOf(trusted, bundle, { payload: signed, signature });
  requireSignatureOf(payload, digest);
  return signer;
}

function signerOf(
  trusted: Trusted,
  bundle: JsonObject,
  signed: { readonly payload: Uint8Array; readonly signature: Uint8Array },
): Signer {
  switch (trusted.by) {
    case 'key':
      return { by: 'key', signer: byKeys(trusted.keys, signed).fingerprint };
    case 'root': {
      const { certificate, at } = trusted.root.bundle(bundle);
      byKeys([certificate.key], signed);
      const { subject, issuer } = requireIdentity(certificate, trusted.identities);
      return { by: 'fulcio', signer: subject, issuer, at };
    }
    default:
      throw useless('is of a form that this requirement does not take');
  }
}
