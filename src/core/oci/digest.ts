import { visible } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import type { Hashers, HashName } from '../ports/hashers.ts';

/** `<algorithm>:<lower-case hex>`, checked: safe in paths and URLs. */
export type Digest = string & { readonly __digest: unique symbol };

const HEX_LENGTH: Readonly<Record<HashName, number>> = { sha256: 64, sha384: 96, sha512: 128 };
/** What nearly all digests are. */
const SHA256 = /^sha256:[0-9a-f]{64}$/;
const FORM = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;

/**
 * Makes a digest of its text: `sha256:` (sha384, sha512) and lower-case hex. InvalidArgument for anything else, in go-digest's words: `invalid checksum
 * digest format`, `unsupported digest algorithm`, `invalid checksum digest length`.
 */
export function parseDigest(text: string): Digest {
  if (SHA256.test(text)) return text as Digest;
  if (text.length > 512 || !FORM.test(text)) throw invalid(text, 'invalid checksum digest format');
  const colon = text.indexOf(':');
  const algorithm = text.slice(0, colon);
  if (!Object.hasOwn(HEX_LENGTH, algorithm)) throw invalid(text, 'unsupported digest algorithm');
  const hex = text.slice(colon + 1);
  if (hex.length !== HEX_LENGTH[algorithm as HashName]) throw invalid(text, 'invalid checksum digest length');
  if (!/^[0-9a-f]+$/.test(hex)) throw invalid(text, 'invalid checksum digest format');
  return text as Digest;
}

/** Whether `parseDigest` takes the text. */
export function isDigest(text: string): text is Digest {
  try {
    parseDigest(text);
    return true;
  } catch {
    return false;
  }
}

export function algorithmOf(digest: Digest): HashName {
  return digest.slice(0, digest.indexOf(':')) as HashName;
}

export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

export function makeDigest(algorithm: HashName, hex: string): Digest {
  return parseDigest(`${algorithm}:${hex}`);
}

/** The digest of bytes that are at hand. */
export function digestBytes(bytes: Uint8Array, hashers: Hashers, algorithm: HashName = 'sha256'): Digest {
  const hasher = hashers.create(algorithm);
  hasher.update(bytes);
  return makeDigest(algorithm, hasher.digest());
}

function invalid(text: string, why: string): HawserError {
  return new HawserError('InvalidArgument', `Cannot use digest "${visible(text.slice(0, 200))}": ${why}`, {
    hint: 'A digest looks like sha256: and 64 lower-case hex digits',
  });
}
