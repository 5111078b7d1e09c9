/** Public keys and PEM (RFC 7468), read strictly. */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { HawserError, messageOf } from '../../core/errors.ts';
import type { SigningKey } from '../../core/ports/signatures.ts';

const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const MIN_RSA_BITS = 2048;

/** A file of the policy cannot be used. */
export function unusable(why: string, hint: string, cause?: unknown): HawserError {
  return new HawserError('InvalidArgument', why, { hint, cause });
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END \1-----/g;

/** The blocks of a PEM text, all with this label and nothing but white space between them. Empty: the text is something else. */
export function pemBlocks(text: string, label: string): Uint8Array[] {
  if (text.replaceAll(BLOCK, '').trim() !== '') return [];
  const blocks = [...text.matchAll(BLOCK)];
  if (blocks.some(([, found]) => found !== label)) return [];
  return blocks.map(([, , body = '']) => new Uint8Array(Buffer.from(body, 'base64')));
}

export function publicKey(pem: Uint8Array): SigningKey {
  const hint = 'A key file holds one "-----BEGIN PUBLIC KEY-----", as cosign.pub does';
  const [der, ...others] = pemBlocks(Buffer.from(pem).toString('latin1'), 'PUBLIC KEY');
  if (der === undefined || others.length > 0) throw unusable('not one public key in PEM', hint);
  return keyOf(der, hint);
}

/** A key out of its SPKI. */
export function keyOf(
  der: Uint8Array,
  hint = 'Use ECDSA (P-256, P-384, P-521), RSA of 2048 bits or more, or Ed25519',
): SigningKey {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
  } catch (err) {
    throw unusable(`not a public key: ${messageOf(err)}`, hint, err);
  }
  const digest = digestOf(key);
  return {
    fingerprint: `SHA256:${createHash('sha256').update(der).digest('base64')}`,
    der,
    verify(data, signature) {
      try {
        return verify(digest, data, key, signature);
      } catch {
        return false;
      }
    },
  };
}

/** The digest that a kind of key signs; null: the key signs the data themselves. InvalidArgument for other kinds, and weak keys. */
function digestOf(key: KeyObject): 'sha256' | null {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details = {} } = key;
  if (type === 'ed25519') return null;
  if (type === 'ec' && CURVES.has(details.namedCurve ?? '')) return 'sha256';
  if (type === 'rsa' && (details.modulusLength ?? 0) >= MIN_RSA_BITS) return 'sha256';
  throw unusable(
    `keys of this kind are not taken (${type}${details.modulusLength === undefined ? '' : `, ${details.modulusLength} bits`})`,
    'Use ECDSA (P-256, P-384, P-521), RSA of 2048 bits or more, or Ed25519',
  );
}
