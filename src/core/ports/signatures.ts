/**
 * What is checked with cryptography. Everything is given, nothing is read or asked. What does not hold is PermissionDenied, and the
 * message says why; keys, authorities and roots that cannot be used are InvalidArgument.
 */
import { HawserError } from '../errors.ts';

/** Why a signature, or a certificate, does not count: what the checks fail with. */
export function useless(why: string, cause?: unknown): HawserError {
  return new HawserError('PermissionDenied', why, { cause });
}

/** A public key, whose own kind decides how it is checked with: nothing that a signature says of itself does. */
export interface SigningKey {
  /** `SHA256:` and the base64 of the SPKI's hash. */
  readonly fingerprint: string;
  /** The SPKI. */
  readonly der: Uint8Array;
  /** ECDSA (DER) and RSA (PKCS#1 v1.5) over SHA-256, Ed25519 over the data. */
  verify(data: Uint8Array, signature: Uint8Array): boolean;
}

/** What a certificate says. That holds once a path from an authority leads to the certificate. */
export interface Certificate {
  readonly der: Uint8Array;
  readonly key: SigningKey;
  /** Subject alternative names, by kind. */
  readonly emails: readonly string[];
  readonly uris: readonly string[];
  readonly hosts: readonly string[];
  /** Who has identified the subject, as Fulcio notes it. */
  readonly issuer: string | undefined;
}

export interface Signed {
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

/** An entry of a transparency log, with the log's promise to include it (Rekor's SET). */
export interface LogEntry {
  readonly body: Uint8Array;
  /** Seconds since the epoch. */
  readonly integratedTime: number;
  readonly logIndex: number;
  /** Hex. */
  readonly logId: string;
  readonly promise: Uint8Array;
}

/** Authorities that certify signers of code. */
export interface Authorities {
  /** A path of certificates leads from one of the roots to this one, and all of them were valid at that time (milliseconds). */
  trace(certificate: Certificate, intermediates: readonly Certificate[], at: number): void;
}

/** Transparency logs. */
export interface Logs {
  /** The entry is of one of these logs, of this signature, and of its key or certificate. Returns when it was logged (milliseconds). */
  prove(entry: LogEntry, signed: Signed, signer: SigningKey | Certificate): number;
}

/** Sigstore's authorities and logs in one file (trusted_root.json). */
export interface TrustedRoot {
  /** A signature by a certificate: traced, in its certificate log, logged. Returns when it was logged (milliseconds). */
  attachment(signed: Signed, certificate: Certificate, entry: LogEntry): number;
  /** A whole sigstore bundle (parsed JSON) with a certificate and a DSSE envelope. `at`: milliseconds. */
  bundle(document: unknown): { readonly certificate: Certificate; readonly at: number };
}

export interface SignatureChecks {
  /** One `PUBLIC KEY` in PEM. */
  key(pem: Uint8Array): SigningKey;
  /** `CERTIFICATE`s in PEM, at least one. */
  certificates(pem: Uint8Array): readonly Certificate[];
  authorities(roots: readonly Certificate[], intermediates: readonly Certificate[]): Authorities;
  logs(keys: readonly SigningKey[]): Logs;
  /** `document`: parsed JSON. */
  trustedRoot(document: unknown): TrustedRoot;
}
