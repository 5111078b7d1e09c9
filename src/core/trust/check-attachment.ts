/** Whether a signature of cosign's old form is by somebody whom the policy trusts, of this image, under a name that the policy takes. */
import { decodeBase64 } from '../oci/base64.ts';
import type { Digest } from '../oci/digest.ts';
import { parseJson } from '../oci/json.ts';
import {
  type Certificate,
  type LogEntry,
  type SignatureChecks,
  type Signed,
  useless,
} from '../ports/signatures.ts';
import type { Reference } from '../reference/reference.ts';
import type { Attachment } from './candidates.ts';
import { certificatesOf, type Trusted } from './material.ts';
import { signedName } from './payload.ts';
import type { IdentityRule } from './requirements.ts';
import { nameMismatch } from './signed-name.ts';
import { byKeys, requireIdentity, type Signer } from './signer.ts';
import { asMap } from './strict.ts';

const SIGNATURE = 'dev.cosignproject.cosign/signature';
const CERTIFICATE = 'dev.sigstore.cosign/certificate';
const CHAIN = 'dev.sigstore.cosign/chain';
const LOG_ENTRY = 'dev.sigstore.cosign/bundle';

export interface AttachmentCheck {
  readonly checks: SignatureChecks;
  readonly trusted: Trusted;
  readonly identity: IdentityRule;
  readonly reference: Reference;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** PermissionDenied, or InvalidArgument, for one that does not count. Nothing of the payload is believed before its signature is. */
export function checkAttachment(
  check: AttachmentCheck,
  { payload, annotations }: Attachment,
  digest: Digest,
): Signer {
  const signature = decodeBase64(annotations[SIGNATURE] ?? '');
  if (signature === undefined || signature.length === 0) throw useless('has no signature in base64');
  const signer = signerOf(check, { payload, signature }, annotations);
  const name = signedName(payload, digest);
  const mismatch = nameMismatch(check.identity, name, check.reference);
  if (mismatch !== undefined) throw useless(mismatch);
  return signer;
}

function signerOf(
  { checks, trusted, now }: AttachmentCheck,
  signed: Signed,
  annotations: Attachment['annotations'],
): Signer {
  if (trusted.by === 'key') {
    const key = byKeys(trusted.keys, signed);
    const at = trusted.logs?.prove(entryOf(annotations), signed, key);
    return { by: 'key', signer: key.fingerprint, at };
  }
  const certificate = certificateOf(checks, annotations);
  const chain = annotations[CHAIN];
  const between = chain === undefined ? [] : certificatesOf(checks, chain);
  switch (trusted.by) {
    case 'fulcio': {
      const at = trusted.logs.prove(entryOf(annotations), signed, certificate);
      trusted.authorities.trace(certificate, between, at);
      const { email, issuer } = trusted;
      requireIdentity({ ...certificate, uris: [] }, [{ subject: email, issuer }]);
      return { by: 'fulcio', signer: email, issuer, at };
    }
    case 'pki': {
      trusted.authorities.trace(certificate, between, sane(now));
      byKeys([certificate.key], signed);
      return { by: 'pki', signer: pkiSubject(certificate, trusted) };
    }
    case 'root': {
      const at = trusted.root.attachment(signed, certificate, entryOf(annotations));
      const { subject, issuer } = requireIdentity(certificate, trusted.identities);
      return { by: 'fulcio', signer: subject, issuer, at };
    }
  }
}

function certificateOf(checks: SignatureChecks, annotations: Attachment['annotations']): Certificate {
  const pem = annotations[CERTIFICATE];
  if (pem === undefined) throw useless('has no certificate');
  const [certificate, ...others] = certificatesOf(checks, pem);
  if (certificate === undefined || others.length > 0) throw useless('has not one certificate');
  return certificate;
}

/** November 2026, when this was written: a clock before that is wrong, and would revive certificates that have ended. */
const EARLIEST = 1_793_491_200_000;

function sane(now: number): number {
  if (now >= EARLIEST) return now;
  throw useless('is by a certificate, whose validity a clock of the past cannot tell');
}

function pkiSubject(certificate: Certificate, { email, host }: Trusted & { by: 'pki' }): string {
  if (email !== undefined && !certificate.emails.includes(email))
    throw useless(`is by ${named(certificate.emails)}, not ${email}`);
  if (host !== undefined && !certificate.hosts.some((one) => isHost(one, host)))
    throw useless(`is by ${named(certificate.hosts)}, not ${host}`);
  return email ?? host ?? '';
}

function named(names: readonly string[]): string {
  return names.length === 0
    ? 'a certificate without such a name'
    : names.slice(0, 3).join(', ').slice(0, 200);
}

/** RFC 6125: a wildcard stands for the whole of the first label. */
function isHost(pattern: string, host: string): boolean {
  const [wanted, given] = [pattern.toLowerCase(), host.toLowerCase()];
  return (
    wanted === given || (wanted.startsWith('*.') && wanted.slice(2) === given.split('.').slice(1).join('.'))
  );
}

/** The log's promise, and what was promised. */
function entryOf(annotations: Attachment['annotations']): LogEntry {
  const text = annotations[LOG_ENTRY];
  if (text === undefined) throw useless('has no entry of a transparency log');
  const document = parseJson(new TextEncoder().encode(text), 'the log entry');
  const { Payload, SignedEntryTimestamp } = asMap(document, 'the log entry');
  const { body, integratedTime, logIndex, logID } = asMap(Payload, 'the log entry');
  const [bytes, promise] = [body, SignedEntryTimestamp].map((one) =>
    typeof one === 'string' ? decodeBase64(one) : undefined,
  );
  if (bytes === undefined || promise === undefined || !isCount(integratedTime) || !isCount(logIndex))
    throw useless('has a log entry of another form');
  if (typeof logID !== 'string' || !/^[0-9a-f]{64}$/.test(logID)) throw useless('has a log entry of no log');
  return { body: bytes, promise, integratedTime, logIndex, logId: logID };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
