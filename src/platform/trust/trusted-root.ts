/** Signatures by certificates under a trusted_root.json: the library's checks, and those that the library leaves out. */
import { messageOf } from '../../core/errors.ts';
import { type TrustedRoot as Root, useless } from '../../core/ports/signatures.ts';
import { type Parsed, parseCertificate } from './certificate.ts';
import { tracePath } from './certificate-path.ts';
import { unusable } from './keys.ts';
import {
  bundleFromJSON,
  type SignedEntity,
  TrustedRoot,
  type TrustMaterial,
  toSignedEntity,
  toTrustMaterial,
  Verifier,
} from './libraries.ts';
import { checked, entityOf, requireSigner } from './transparency-log.ts';

const HINT = 'Make one on a connected machine: cosign trusted-root create';

export function openTrustedRoot(document: unknown): Root {
  const material = materialOf(document);
  const authorities = material.certificateAuthorities.map(({ certChain }) =>
    certChain.map((one) => parseCertificate(new Uint8Array(one.root.toDER()))),
  );
  // In a chain of the file the root comes last.
  const roots = authorities.flatMap((chain) => chain.slice(-1));
  const intermediates = authorities.flatMap((chain) => chain.slice(0, -1));
  const verify = (entity: SignedEntity, certificate: Parsed): number => {
    checked(() => new Verifier(material).verify(entity));
    const times = timesOf(entity);
    for (const at of times) tracePath(certificate, roots, intermediates, at);
    const [first] = times;
    if (first === undefined) throw useless('nothing says when it was signed');
    return first;
  };
  return {
    attachment(signed, given, entry) {
      const certificate = parseCertificate(given.der);
      requireSigner(entry.body, certificate);
      const key = { $case: 'certificate', certificate: certificate.x509 } as const;
      return verify(entityOf(signed, certificate.key, entry, key), certificate);
    },
    bundle: (json) => {
      const bundle = checked(() => bundleFromJSON(json));
      const { content, tlogEntries } = bundle.verificationMaterial;
      const der = certificateOf(content);
      if (der === undefined) throw useless('the bundle has no certificate');
      const certificate = parseCertificate(new Uint8Array(der));
      for (const { canonicalizedBody } of tlogEntries) requireSigner(canonicalizedBody, certificate);
      return {
        certificate,
        at: verify(
          checked(() => toSignedEntity(bundle)),
          certificate,
        ),
      };
    },
  };
}

type Content = ReturnType<typeof bundleFromJSON>['verificationMaterial']['content'];

function certificateOf(content: Content): Buffer | undefined {
  switch (content.$case) {
    case 'certificate':
      return content.certificate.rawBytes;
    case 'x509CertificateChain':
      return content.x509CertificateChain.certificates[0]?.rawBytes;
    case 'publicKey':
      return undefined;
  }
}

/** Milliseconds, of what the library has verified: promises of logs, tokens of timestamp authorities. */
function timesOf({ timestamps }: SignedEntity): number[] {
  return timestamps.flatMap((one) => {
    if (one.$case === 'timestamp-authority') return [one.timestamp.signingTime.getTime()];
    const { inclusionPromise, integratedTime } = one.tlogEntry;
    return inclusionPromise === undefined ? [] : [Number(integratedTime) * 1000];
  });
}

function materialOf(document: unknown): TrustMaterial {
  try {
    const root = TrustedRoot.fromJSON(document);
    const { certificateAuthorities, tlogs } = root;
    if (certificateAuthorities.length === 0 || tlogs.length === 0)
      throw unusable('it names no certificate authority, or no log', HINT);
    return toTrustMaterial(root);
  } catch (err) {
    throw unusable(`not a trusted root of sigstore: ${messageOf(err)}`, HINT, err);
  }
}
