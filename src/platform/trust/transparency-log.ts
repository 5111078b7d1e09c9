/** Entries of transparency logs: promised by a log that is trusted, and of the very signature and signer that are judged. */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { messageOf } from '../../core/errors.ts';
import { type Json, parseJson } from '../../core/oci/json.ts';
import {
  type Certificate,
  type LogEntry,
  type Logs,
  type Signed,
  type SigningKey,
  useless,
} from '../../core/ports/signatures.ts';
import { pemBlocks } from './keys.ts';
import { type SignedEntity, type TransparencyLogEntry, type TrustMaterial, Verifier } from './libraries.ts';

/** Runs a check of the library, whose errors say the most in their innermost message. */
export function checked<T>(work: () => T): T {
  try {
    return work();
  } catch (err) {
    const cause = err instanceof Error && err.cause instanceof Error ? `: ${err.cause.message}` : '';
    throw useless(`${messageOf(err)}${cause}`, err);
  }
}

export function openLogs(keys: readonly SigningKey[]): Logs {
  const validFor = { start: new Date(0), end: new Date(8_640_000_000_000_000) };
  const tlogs = keys.map(({ der }) => {
    const logID = createHash('sha256').update(der).digest();
    return { baseURL: '', logID, publicKey: keyObject(der), validFor };
  });
  const trusted = { certificateAuthorities: [], timestampAuthorities: [], ctlogs: [], tlogs };
  return {
    prove(entry, signed, signer) {
      requireSigner(entry.body, signer);
      const key = 'key' in signer ? signer.key : signer;
      const publicKey = () => ({ publicKey: keyObject(key.der), validFor: () => true });
      const material: TrustMaterial = { ...trusted, publicKey };
      const entity = entityOf(signed, key, entry, { $case: 'public-key', hint: '' });
      const needs = { tlogThreshold: 1, ctlogThreshold: 0, timestampThreshold: 1 };
      checked(() => new Verifier(material, needs).verify(entity));
      return entry.integratedTime * 1000;
    },
  };
}

function keyObject(der: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
}

/** A signature of cosign's old form, as the library wants it: the log holds it as a `hashedrekord`. */
export function entityOf(
  { payload, signature }: Signed,
  signer: SigningKey,
  entry: LogEntry,
  key: SignedEntity['key'],
): SignedEntity {
  const digest = createHash('sha256').update(payload).digest();
  const isSame = (theirs: Buffer) => theirs.equals(digest);
  const tlogEntry: TransparencyLogEntry = {
    logIndex: String(entry.logIndex),
    logId: { keyId: Buffer.from(entry.logId, 'hex') },
    kindVersion: { kind: 'hashedrekord', version: '0.0.1' },
    integratedTime: String(entry.integratedTime),
    inclusionPromise: { signedEntryTimestamp: Buffer.from(entry.promise) },
    inclusionProof: undefined,
    canonicalizedBody: Buffer.from(entry.body),
  };
  return {
    signature: {
      signature: Buffer.from(signature),
      compareSignature: (theirs) => theirs.equals(signature),
      compareDigest: isSame,
      compareSignedDigest: isSame,
      verifySignature: () => signer.verify(payload, signature),
    },
    key,
    tlogEntries: [tlogEntry],
    timestamps: [{ $case: 'transparency-log', tlogEntry }],
  };
}

/** The library compares signature and payload with those in the entry, but not whose they are. */
export function requireSigner(body: Uint8Array, signer: SigningKey | Certificate): void {
  const document = parseJson(body, 'a log entry');
  const found = signersOf(document);
  const [der] = found;
  if (der === undefined || found.length > 1 || !Buffer.from(der).equals(signer.der))
    throw useless(
      `the log entry is of another ${'key' in signer ? 'certificate' : 'key'} than the signature’s`,
    );
}

/** The keys or certificates (DER) of an entry of a known kind: hashedrekord and dsse of Rekor 1 (0.0.1) and 2 (0.0.2). */
function signersOf(entry: Json): readonly Uint8Array[] {
  const spec = member(entry, 'spec');
  switch (`${member(entry, 'kind')} ${member(entry, 'apiVersion')}`) {
    case 'hashedrekord 0.0.1':
      return fromPem(member(spec, 'signature', 'publicKey', 'content'));
    case 'dsse 0.0.1':
      return elements(member(spec, 'signatures')).flatMap((one) => fromPem(member(one, 'verifier')));
    case 'hashedrekord 0.0.2':
      return fromVerifier(member(spec, 'hashedRekordV002', 'signature', 'verifier'));
    case 'dsse 0.0.2':
      return elements(member(spec, 'dsseV002', 'signatures')).flatMap((one) =>
        fromVerifier(member(one, 'verifier')),
      );
    default:
      throw useless('the log entry is of an unknown kind');
  }
}

function member(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let current = value;
  for (const key of path) {
    if (typeof current !== 'object' || current === null || !(key in current)) return undefined;
    current = (current as { readonly [key: string]: Json })[key];
  }
  return current;
}

function elements(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function fromPem(content: Json | undefined): Uint8Array[] {
  if (typeof content !== 'string') return [];
  const text = Buffer.from(content, 'base64').toString('latin1');
  const certificates = pemBlocks(text, 'CERTIFICATE');
  return certificates.length > 0 ? certificates : pemBlocks(text, 'PUBLIC KEY');
}

function fromVerifier(verifier: Json | undefined): Uint8Array[] {
  const raw = member(verifier, 'x509Certificate', 'rawBytes') ?? member(verifier, 'publicKey', 'rawBytes');
  return typeof raw === 'string' ? [new Uint8Array(Buffer.from(raw, 'base64'))] : [];
}
