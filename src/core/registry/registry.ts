import type { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { HttpRequest, HttpResponse } from '../ports/transport.ts';
import type { Reference } from '../reference/reference.ts';
import type { Evidence } from '../trust/evidence.ts';

/** A body that starts at `offset` of the blob (0 when the server ignored the range). */
export interface Fetched {
  readonly body: ReadableStream<Uint8Array>;
  readonly offset: number;
  /** The host that sent the body, for `avoid`. Undefined: nobody had to be asked. */
  readonly host?: string | undefined;
  /** The answer's strong ETag (RFC 9110 8.8.3). */
  readonly etag?: string | undefined;
}

/** The identity of a blob at one host: further parts from that host must have the same. */
export interface Validator {
  readonly host: string;
  readonly etag: string;
}

export interface FetchRequest extends Call {
  readonly offset?: number | undefined;
  /**
   * The part's end, excluded: the host gives exactly this part, or the fetch fails with FailedPrecondition (NO_RANGE). A host that
   * cannot give parts is not asked for parts again.
   */
  readonly end?: number | undefined;
  /** Hosts to ask after all others: they failed with this object before. */
  readonly avoid?: ReadonlySet<string> | undefined;
  /** Sent as If-Range to its host. DataLoss (CHANGED) when the host has other content by now. */
  readonly validator?: Validator | undefined;
  /** What it is asked for as. Default: what its media type is. */
  readonly kind?: 'blobs' | 'manifests' | undefined;
}

/** Gives the bytes of descriptors of one repository. Manifests and indexes are asked for as such, all else as blobs. */
export interface Fetcher {
  /** Where all bytes are from, for messages, when they are from no registry. */
  readonly place?: string | undefined;
  /** Nobody else has the bytes that come: whoever asked may free their memory. Not given: somebody may. */
  readonly gives?: boolean | undefined;
  /** From `offset` if the server can. Hosts are asked once each. Bytes are not verified. 404: NotFound. */
  fetch(desc: Descriptor, request?: FetchRequest): Promise<Fetched>;
  /** This host (of a `Fetched`) sent wrong bytes: it is asked after all others from now on. */
  distrust?(host: string): void;
}

export interface Resolved {
  readonly reference: Reference;
  /** mediaType, digest and size of the root. */
  readonly root: Descriptor;
}

export interface ResolveRequest extends Call {
  /** Read the document, so that size and type are those of its bytes. Else an answer to HEAD will do, which is only advice. */
  readonly read?: boolean | undefined;
}

export interface FindRequest extends Call {
  /** What it is asked for as. Default: as a blob, then as a manifest. */
  readonly kind?: 'blobs' | 'manifests' | undefined;
  /** The caller's favourite, for Accept. */
  readonly mediaType?: string | undefined;
}

export interface FoundContent {
  /** Type and size as a host says them. */
  readonly desc: Descriptor;
  /** Asks for it as what it was found as, first where it was found. */
  readonly fetcher: Fetcher;
}

export interface ReferrersRequest extends Call {
  /** Only those of this type. */
  readonly artifactType?: string | undefined;
}

/** What refers to a manifest: signatures, SBOMs. Types, sizes and annotations are what the registry says of them. */
export interface Referrers {
  /** The manifest that was asked for. */
  readonly subject: Descriptor;
  /** Who listed them: the registry, or those who pushed them, under a tag (distribution-spec, "Referrers Tag Schema"). */
  readonly source: 'api' | 'tag';
  /** Manifests, in the list's order. */
  readonly referrers: readonly Descriptor[];
}

/** Questions that are answered by lists, which may come in pages; see lists.ts for their limits. */
export interface Lists {
  /** The tags of the reference's repository in the registry's order, each once. NotFound. */
  tags(reference: Reference, request?: Call): Promise<readonly string[]>;
  /** The repositories of a registry, in its order, each once. Many registries list none. */
  catalog(host: string, request?: Call): Promise<readonly string[]>;
  /** Asks for nothing but whether the registry lets the user in. Unauthenticated, PermissionDenied. */
  access(host: string, request?: Call): Promise<void>;
  /** By the referrers API, else by the tag of the digest. Empty when nothing refers to the manifest. */
  referrers(reference: Reference, request?: ReferrersRequest): Promise<Referrers>;
}

/** What is sent to a repository. */
export interface WriteRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: HttpRequest['body'];
}

/** A repository at the one host that takes what is pushed to it. */
export interface RepositoryWriter {
  readonly reference: Reference;
  /** The URL of something of the repository: `blobs/uploads/`. */
  url(path: string, parameters?: Readonly<Record<string, string>>): URL;
  /** One exchange, authorized where it stays with the host; redirects are followed. No status is an error. */
  send(request: WriteRequest, call: Call): Promise<HttpResponse>;
  /** Where an answer leads by its Location; undefined without one. FailedPrecondition for a place where the host may not lead. */
  location(response: HttpResponse, call: Call): Promise<URL | undefined>;
  /** The error for an answer that refuses. Ends the answer's body. */
  refusal(request: Pick<WriteRequest, 'method' | 'url'>, response: HttpResponse): Promise<HawserError>;
  /** Does `work` until it succeeds or patience ends: overload and lost connections pass. */
  insist<T>(call: Call, work: () => Promise<T>): Promise<T>;
}

export interface Registry extends Lists, AsyncDisposable {
  /** Tag to descriptor. tag@digest resolves by the digest. */
  resolve(reference: Reference, request?: ResolveRequest): Promise<Resolved>;
  fetcher(reference: Reference): Fetcher;
  /** Among the blobs of all hosts, then among their manifests, unless `kind` says which. NotFound. */
  find(reference: Reference, digest: Digest, request?: FindRequest): Promise<FoundContent>;
  /** Where the signatures of an image are looked for: in its repository, at all hosts that may have them. */
  evidence(reference: Reference): Evidence;
  /**
   * A file that is no part of a registry, at a URL that a user named: http or https, guarded as a registry's answers are. The bytes are
   * not verified; lost connections are gone on with. DataLoss where the file has changed meanwhile.
   */
  file(url: URL, call: Call): ReadableStream<Uint8Array>;
  /** FailedPrecondition where the configuration has no host to push to. */
  writer(reference: Reference, call: Call): Promise<RepositoryWriter>;
}
