import type { Call } from '../../ports/call.ts';

/**
 * `secret` may be a password or a token used as one. A refresh token (identity token) is for token servers only. A
 * registry token is a bearer token as it stands. `source`: the credential's origin, for people.
 */
export type Credential = TokenCredential | (Sourced & { readonly registryToken: string });

/** A credential for token servers. */
export type TokenCredential = Sourced &
  ({ readonly username: string; readonly secret: string } | { readonly refreshToken: string });

interface Sourced {
  readonly source?: string | undefined;
}

/**
 * `host` is the registry's name as references write it (`docker.io`, `localhost:5000`), or a mirror's `host:port`.
 * Undefined: anonymous.
 */
export type Credentials = (host: string, repository: string, call: Call) => Promise<Credential | undefined>;

/** RFC 7617, in UTF-8. */
export function basicAuthorization(username: string, secret: string): string {
  return `Basic ${basicPair(username, secret)}`;
}

/** Both in base64 of UTF-8, as Docker's config.json has them, too (RFC 7617 section 2). */
export function basicPair(username: string, secret: string): string {
  const bytes = new TextEncoder().encode(`${username}:${secret}`);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}

/** Whatever their sources are. */
export function isSame(one: TokenCredential, other: TokenCredential): boolean {
  return 'username' in one
    ? 'username' in other && one.username === other.username && one.secret === other.secret
    : 'refreshToken' in other && one.refreshToken === other.refreshToken;
}
