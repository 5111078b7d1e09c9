/** Flags of commands that take a file from a URL. */
import { type NamesOf, type Text, text } from './flag.ts';
import {
  HTTP_DUMP,
  HTTP_TRACE,
  NETWORK_FLAGS,
  PLAIN_HTTP,
  REACH,
  SKIP_VERIFY,
  TLS_CA_CERT,
  TLS_CERT,
  TLS_KEY,
} from './registry-flags.ts';

export const SHA256: Text<'sha256'> = text({
  name: 'sha256',
  value: 'HEX',
  describe: 'the SHA-256 of the whole archive: with another one, nothing is recorded',
});

/** For a URL only. */
export const URL_FLAGS: readonly [
  typeof PLAIN_HTTP,
  typeof SKIP_VERIFY,
  typeof TLS_CA_CERT,
  typeof TLS_CERT,
  typeof TLS_KEY,
  typeof REACH,
  typeof HTTP_DUMP,
  typeof HTTP_TRACE,
  ...typeof NETWORK_FLAGS,
] = [PLAIN_HTTP, SKIP_VERIFY, TLS_CA_CERT, TLS_CERT, TLS_KEY, REACH, HTTP_DUMP, HTTP_TRACE, ...NETWORK_FLAGS];
export type UrlFlag = NamesOf<typeof URL_FLAGS>;
