/** What a server asks of registries, for content that its store lacks; and their failures as its answers. */
import type { Info } from '../content/content-store.ts';
import { isKind, reasonOf } from '../errors.ts';
import { sourceLabelKey } from '../images/gc-labels.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import { parseReference } from '../reference/parse.ts';
import type { Reference } from '../reference/reference.ts';
import type { Layer } from '../registry/layers.ts';
import { type Refusal, refusal } from './answers.ts';
import { type Asked, HUB, hostOf, type Place, placeIn } from './repositories.ts';

/** What a tag names. */
export interface TagTarget {
  readonly digest: Digest;
  /** The registry cannot be reached: the tag named this before. */
  readonly stale: boolean;
}

export interface TagRequest extends Call {
  /** The caller knows what the tag named before, and does not wait long. */
  readonly older?: boolean | undefined;
}

export interface BlobRequest extends Call {
  /** The bytes that the store has are damaged. */
  readonly anew?: boolean | undefined;
}

/** Brings content of registries that the operator has named into the store. Errors are those of a pull. */
export interface Upstream {
  /** The registries that may be asked, as references write them. */
  readonly hosts: ReadonlySet<string>;
  /** Differs from that of every other server: a request that comes by this server is not passed on once more. */
  readonly id: string;
  /** The target is in the store then. */
  tag(reference: Reference, call: TagRequest): Promise<TagTarget>;
  /**
   * The manifest or index that the reference's digest names may be given by the reference's repository, and is in the store then.
   * PermissionDenied by the policy. `stored`: what the store has from that repository, which no registry is asked for.
   */
  document(reference: Reference, stored: Info | undefined, call: Call): Promise<void>;
  /** Bytes of the blob that the reference's digest names, as the registry says. NotFound. */
  size(reference: Reference, call: Call): Promise<number>;
  /**
   * Fetches a blob, once for all who ask, whoever of them leaves. Resolves when bytes are on their way into the store; `done` when the blob
   * is there.
   */
  blob(reference: Reference, call: BlobRequest): Promise<{ readonly done: Promise<void> }>;
  /** Keeps content that was asked for again. */
  touch(digest: Digest, call: Call): Promise<void>;
  tags(reference: Reference, call: Call): Promise<readonly string[]>;
  referrers(reference: Reference, call: Call): Promise<readonly Descriptor[]>;
}

/** Names the server to those whom it asks (RFC 9110 section 7.6.3): a registry may be, by a mirror of this machine, the server itself. */
export function viaLayer(id: string): Layer {
  return (next) => (request) => next({ ...request, headers: { ...request.headers, via: `1.1 ${id}` } });
}

/** The repository that a request means at a registry that may be asked; undefined: none may. `local`: what the store has of it. */
export function sourceOf(
  upstream: Upstream | undefined,
  { name, ns }: Asked,
  via: string | null,
  local: Place | undefined,
): string | undefined {
  if (upstream === undefined || via?.includes(upstream.id)) return undefined;
  const { host, path } = placeOf(upstream.hosts, { name, ns }, local) ?? {};
  return host !== undefined && upstream.hosts.has(host) ? `${host}/${path}` : undefined;
}

/** Whether a request means a repository of a registry that may be asked, whoever passes the request on. */
export function isPulledThrough(upstream: Upstream, asked: Asked, local: Place | undefined): boolean {
  return sourceOf(upstream, asked, null, local) !== undefined;
}

/** By `ns`, else what the store has, else the registry that the name begins with, Docker Hub, or the only one. */
function placeOf(
  hosts: ReadonlySet<string>,
  { name, ns }: Asked,
  local: Place | undefined,
): Place | undefined {
  if (ns !== undefined) return { host: hostOf(ns), path: name };
  if (local !== undefined) return local;
  const named = placeIn(name);
  if (named !== undefined) return named;
  const [only] = hosts;
  const host = hosts.has(HUB) || hosts.size !== 1 ? HUB : only;
  return host === undefined ? undefined : { host, path: name };
}

/** Undefined for a repository that no reference can name. */
export function referenceIn(source: string, object: string, byDigest: boolean): Reference | undefined {
  try {
    return parseReference(`${source}${byDigest ? '@' : ':'}${object}`);
  } catch {
    return undefined;
  }
}

/** Whether a registry is not to be had for now. */
export function isAway(err: unknown): boolean {
  return isKind(err, 'Unavailable', 'DeadlineExceeded');
}

/** The answer for a failure of the registry, without what the operator has configured. Undefined: the failure is of this machine. */
export function refusalOf(err: unknown, host: string, absent: Refusal): Refusal | undefined {
  if (isKind(err, 'NotFound')) return absent;
  if (isKind(err, 'Unauthenticated')) return refusal(403, 'DENIED', `${host} gives that to no one unknown`);
  if (isKind(err, 'PermissionDenied'))
    return refusal(403, 'DENIED', `${host}, or the policy here, denies that`);
  const status = reasonOf(err, 'status');
  if (status?.status === 429 || reasonOf(err, 'busy') !== undefined) {
    const seconds = String(Math.ceil((status?.retryAfter ?? 5000) / 1000));
    return refusal(429, 'TOOMANYREQUESTS', `${host} cannot be asked that much`, { 'retry-after': seconds });
  }
  if (isKind(err, 'DeadlineExceeded')) return refusal(504, 'UNKNOWN', `${host} does not answer in time`);
  if (isKind(err, 'Unavailable')) return refusal(502, 'UNKNOWN', `${host} cannot be reached`);
  if (isKind(err, 'ResourceExhausted')) return refusal(503, 'UNKNOWN', 'there is no room for that here');
  if (isKind(err, 'DataLoss', 'InvalidArgument', 'FailedPrecondition'))
    return refusal(502, 'UNKNOWN', `${host} cannot be asked, or sends what it should not`);
  return undefined;
}

/** Whether content was brought from the reference's repository, by its labels. */
export function isFrom({ labels }: Pick<Info, 'labels'>, { host, repository }: Reference): boolean {
  return (labels[sourceLabelKey(host)] ?? '').split(',').includes(repository);
}
