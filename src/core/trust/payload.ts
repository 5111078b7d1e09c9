/** What is signed: cosign's payload ("simple signing"), and an in-toto statement in a DSSE envelope. Strict, as it decides. */
import { decodeBase64 } from '../oci/base64.ts';
import { algorithmOf, type Digest, hexOf } from '../oci/digest.ts';
import { type Json, type JsonObject, parseJson } from '../oci/json.ts';
import { useless } from '../ports/signatures.ts';
import { asList, asMap, type Members } from './strict.ts';

const TYPE = 'cosign container image signature';

/** The name in a payload that is of this image. PermissionDenied for any other payload. */
export function signedName(payload: Uint8Array, digest: Digest): string {
  const document = only(parseJson(payload, 'the payload'), 'critical', 'optional');
  const critical = only(document.critical, 'type', 'image', 'identity');
  if (critical.type !== TYPE) throw useless('is of another type');
  const image = only(critical.image, 'docker-manifest-digest');
  if (image['docker-manifest-digest'] !== digest) throw useless('is of another image');
  const name = only(critical.identity, 'docker-reference')['docker-reference'];
  if (typeof name !== 'string') throw useless('has a payload of another form');
  return name;
}

/** An object with exactly these members. */
function only(value: unknown, ...keys: readonly string[]): Members {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  const found = isObject ? Object.keys(value) : [];
  if (!isObject || found.length !== keys.length || !keys.every((key) => found.includes(key)))
    throw useless(`has a payload of another form: ${keys.join(', ')} are wanted`);
  return value as Members;
}

/** A DSSE envelope with one signature. */
export interface Envelope {
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
  /** What was signed: DSSE's PAE of type and payload. */
  readonly signed: Uint8Array;
}

const IN_TOTO = 'application/vnd.in-toto+json';

/** PermissionDenied for what is no envelope of an in-toto statement, and for one with several signatures. */
export function readEnvelope(value: Json | undefined): Envelope {
  if (value === undefined) throw useless('has no DSSE envelope');
  const { payload, payloadType, signatures } = asMap(value, 'the envelope');
  if (payloadType !== IN_TOTO) throw useless('has a payload that is no in-toto statement');
  const [first, ...others] = asList(signatures, 'the signatures of the envelope');
  if (first === undefined || others.length > 0) throw useless('has not one signature');
  const body = bytesOf(payload);
  return { payload: body, signature: bytesOf(asMap(first, 'the signature').sig), signed: pae(body) };
}

function bytesOf(value: unknown): Uint8Array {
  const bytes = typeof value === 'string' ? decodeBase64(value) : undefined;
  if (bytes === undefined || bytes.length === 0) throw useless('is not in base64');
  return bytes;
}

/** DSSE's pre-authentication encoding. */
function pae(payload: Uint8Array): Uint8Array {
  const head = new TextEncoder().encode(`DSSEv1 ${IN_TOTO.length} ${IN_TOTO} ${payload.length} `);
  const out = new Uint8Array(head.length + payload.length);
  out.set(head);
  out.set(payload, head.length);
  return out;
}

const STATEMENTS: readonly Json[] = ['https://in-toto.io/Statement/v1', 'https://in-toto.io/Statement/v0.1'];
const SIGNATURE = 'https://sigstore.dev/cosign/sign/v1';

/** The statement is a signature of this image. An attestation (an SBOM, say) says something about an image, but not that the image is good. */
export function requireSignatureOf(payload: Uint8Array, digest: Digest): void {
  const statement: JsonObject = asMap(parseJson(payload, 'the statement'), 'the statement') as JsonObject;
  if (!STATEMENTS.includes(statement._type ?? null)) throw useless('has a statement of another type');
  if (statement.predicateType !== SIGNATURE) throw useless('is an attestation, not a signature');
  const subjects = asList(statement.subject, 'the subject of the statement');
  const isOurs = (one: unknown) => {
    const digests = asMap(asMap(one, 'a subject').digest, 'the digest of a subject');
    return digests[algorithmOf(digest)] === hexOf(digest);
  };
  if (!subjects.some(isOurs)) throw useless('is of another image');
}
