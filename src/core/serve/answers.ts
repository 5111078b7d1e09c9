/** Answers of a registry (distribution-spec: "Error Codes"), and what all of them have. */
import { isKind } from '../errors.ts';
import type { ServerResponse } from '../ports/http-server.ts';

/** distribution-spec's codes, as far as a registry that is only read has a use for them; UNKNOWN is Docker's, for a fault of the server. */
export type ErrorCode =
  | 'BLOB_UNKNOWN'
  | 'DENIED'
  | 'DIGEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'TOOMANYREQUESTS'
  | 'UNAUTHORIZED'
  | 'UNKNOWN'
  | 'UNSUPPORTED';

/** Of what a digest names (RFC 9111). */
export const FOREVER = 'max-age=31536000, immutable';

type Headers = Readonly<Record<string, string>>;

const COMMON: Headers = {
  'docker-distribution-api-version': 'registry/2.0',
  'x-content-type-options': 'nosniff',
};

/** A request that is refused. */
export interface Refusal {
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
  readonly headers?: Headers | undefined;
}

export function refusal(status: number, code: ErrorCode, message: string, headers?: Headers): Refusal {
  return { status, code, message, headers };
}

export function refused({ status, code, message, headers }: Refusal): ServerResponse {
  return json(status, { errors: [{ code, message }] }, headers);
}

export function json(status: number, value: unknown, headers: Headers = {}, type?: string): ServerResponse {
  const body = new TextEncoder().encode(`${JSON.stringify(value)}\n`);
  return withLength(status, body, { 'content-type': type ?? 'application/json', ...headers });
}

function withLength(status: number, body: Uint8Array, headers: Headers): ServerResponse {
  return { status, headers: { ...COMMON, ...headers, 'content-length': String(body.length) }, body };
}

export function streamed(
  status: number,
  headers: Headers,
  body?: ReadableStream<Uint8Array>,
): ServerResponse {
  return { status, headers: { ...COMMON, ...headers }, body };
}

/** What the client is told of an error here: without paths of this machine. */
export function reasonFor(err: unknown): string {
  return isKind(err, 'DataLoss') ? 'the content here is damaged' : 'the store cannot be read';
}
