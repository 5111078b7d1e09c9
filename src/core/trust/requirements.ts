/** The requirements of a policy, as data. */

/** A file of the policy, or its content. */
export type Source = { readonly path: string } | { readonly data: Uint8Array };

/** Where a signature is: cosign's tag `sha256-….sig`, or a sigstore bundle among the referrers. */
export type Format = 'attachment' | 'bundle';

/** Which name has to be signed; signatures in bundles have none. */
export type IdentityRule =
  /** Name and tag, or digest, as asked for. */
  | { readonly type: 'matchExact' }
  /** As asked for by tag; by digest, the same repository. */
  | { readonly type: 'matchRepoDigestOrExact' }
  | { readonly type: 'matchRepository' }
  | { readonly type: 'exactReference'; readonly dockerReference: string }
  | { readonly type: 'exactRepository'; readonly dockerRepository: string }
  /** As `matchRepoDigestOrExact`, after the prefix was replaced. */
  | { readonly type: 'remapIdentity'; readonly prefix: string; readonly signedPrefix: string };

/** A subject of a certificate, and who has to have identified the subject. */
export interface SignerIdentity {
  readonly issuer: string;
  /** An e-mail address or a URI. */
  readonly subject: string;
}

/** Who has to have signed. Of several keys, or identities, any. */
export type Signers =
  | { readonly by: 'key'; readonly keys: readonly Source[] }
  | { readonly by: 'fulcio'; readonly authorities: Source; readonly issuer: string; readonly email: string }
  | {
      readonly by: 'pki';
      readonly roots: Source;
      readonly intermediates: Source | undefined;
      readonly email: string | undefined;
      readonly host: string | undefined;
    }
  /** Under a trusted root of sigstore. */
  | { readonly by: 'root'; readonly root: Source; readonly identities: readonly SignerIdentity[] };

export interface SignedBy {
  readonly type: 'signed';
  readonly signers: Signers;
  /** Keys of the logs that must have the signature; empty: none must. */
  readonly logs: readonly Source[];
  readonly formats: readonly Format[];
  readonly identity: IdentityRule;
}

export type Requirement =
  | { readonly type: 'insecureAcceptAnything' }
  | { readonly type: 'reject' }
  /** `what`: what hawser cannot check: `a GPG signature`. */
  | { readonly type: 'unknown'; readonly what: string; readonly hint: string }
  | SignedBy;
