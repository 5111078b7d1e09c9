/**
 * The error for a call's status (google.golang.org/grpc/codes; containerd's errdefs maps its kinds to them). Of code UNAVAILABLE
 * only the text tells a locked ref, a containerd that says so and a lost connection apart.
 */
import type { ServiceError } from '@grpc/grpc-js';
import { HawserError, type Kind, wrap } from '../../core/errors.ts';

/** Kinds by code, without OK (0) and UNKNOWN (2). */
const KINDS: Readonly<Record<number, Kind>> = {
  1: 'Canceled',
  3: 'InvalidArgument',
  4: 'DeadlineExceeded',
  5: 'NotFound',
  6: 'AlreadyExists',
  7: 'PermissionDenied',
  8: 'ResourceExhausted',
  9: 'FailedPrecondition',
  10: 'Aborted',
  11: 'OutOfRange',
  12: 'NotImplemented',
  14: 'Unavailable',
  15: 'DataLoss',
  16: 'Unauthenticated',
};
const UNAVAILABLE = 14;
const NOT_THERE =
  'Is containerd running, and is this its socket? Without --address hawser uses its own store and needs none';
const ITS_LOG = 'containerd says no more; its log may (journalctl -u containerd)';

/** In grpc-js's error, of code INTERNAL, when a write found the socket closed before the connection was known to be gone. */
const SOCKET_GONE = /internal client error: (?:read|write) E/;
/** The beginning of grpc-js's error when there is no connection at all. */
const NO_CONNECTION = 'No connection established';

export interface Peer {
  readonly address: string;
  /** An earlier call was answered. */
  readonly reached: boolean;
}

/** The message is containerd's. Unavailable with the reason `busy`: another writer has the ingest (core/download/fetch-blob.ts). */
export function fromStatus(err: unknown, peer: Peer): HawserError {
  const { code, details } = err as Partial<ServiceError>;
  if (code === undefined || details === undefined) return wrap('Cannot talk to containerd', err);
  if (code === UNAVAILABLE || SOCKET_GONE.test(details)) return unavailable(details, peer, err);
  const kind = KINDS[code] ?? 'Internal';
  const hint = kind === 'Internal' ? ITS_LOG : undefined;
  return new HawserError(kind, details || `status ${code}`, { cause: err, hint });
}

function unavailable(details: string, peer: Peer, cause: unknown): HawserError {
  if (/\blocked for\b/.test(details)) {
    return new HawserError('Unavailable', details, { cause, reason: { type: 'busy' } });
  }
  // Errors of containerd end with their kind; grpc-js's errors of connections do not.
  if (details.endsWith(': unavailable')) return new HawserError('Unavailable', details, { cause });
  if (peer.reached) {
    return new HawserError('Unavailable', `Lost the connection to containerd at ${peer.address}`, {
      cause,
      hint: 'It was stopped or has crashed. When it runs again, so does the command: what was fetched is kept',
    });
  }
  const [kind, why, hint] = whyNot(details);
  return new HawserError(kind, `Cannot reach containerd at ${peer.address}: ${why}`, { cause, hint });
}

function whyNot(details: string): [Kind, string, string] {
  if (details.includes('ENOENT')) return ['Unavailable', 'there is no such socket', NOT_THERE];
  if (details.includes('ECONNREFUSED')) return ['Unavailable', 'nothing listens there', NOT_THERE];
  if (/EACCES|EPERM|NotCapable/.test(details)) {
    return [
      'PermissionDenied',
      'permission denied',
      'The socket is another user’s (root’s, as a rule): run as that user, or give a socket that is yours. Under Deno also allow reading, writing and the net',
    ];
  }
  if (details.startsWith(NO_CONNECTION))
    return ['Unavailable', 'what is there does not speak gRPC', NOT_THERE];
  return ['Unavailable', details, NOT_THERE];
}
