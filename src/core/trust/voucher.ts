import type { Digest } from '../oci/digest.ts';

/** Somebody who vouches for an image. */
export interface Voucher {
  /** `verifier`: a program that was asked. Else what a signature was checked with. */
  readonly by: 'key' | 'fulcio' | 'pki' | 'verifier';
  /** The root, or a manifest below it: what was vouched for. */
  readonly digest: Digest;
  /** A key as `SHA256:` and base64 of its SPKI's hash; the subject of a certificate; the name of a program. */
  readonly signer: string;
  /** Who has identified the subject (the OIDC issuer). */
  readonly issuer?: string | undefined;
  /** `attachment`: cosign's tag `sha256-….sig`; `bundle`: a sigstore bundle among the referrers. */
  readonly format?: 'attachment' | 'bundle' | undefined;
  /** The manifest that the signature came in: at cosign's tag, or among the referrers. */
  readonly document?: Digest | undefined;
  /** When, by a transparency log or a timestamp authority (RFC 3339). */
  readonly at?: string | undefined;
  /** What finding the signature has cost, those in vain included, since the voucher before: requests to registries. Absent: none was asked. */
  readonly requests?: number | undefined;
  /** Bytes of the answers to those requests. */
  readonly bytes?: number | undefined;
}
