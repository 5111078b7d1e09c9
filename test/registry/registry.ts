/** A registry that can misbehave: distribution-spec from memory or from files, its push half on wish. */
import { createHash } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import { type AuthMode, Gate } from './auth.ts';
import {
  type Answer,
  type Content,
  contentOf,
  type Fault,
  FaultPlan,
  headerOf,
  pause,
  sendBody,
  setHeader,
  spoil,
} from './faults.ts';
import { type Cut, concat, type ServerRequest, type ServerTls, serve, type Wire } from './http-server.ts';
import type { TestImage } from './image.ts';
import { type ListOptions, namesPage, referrersPage } from './lists.ts';
import { type UploadGround, type UploadOptions, Uploads } from './uploads.ts';

export interface RegistryOptions {
  readonly port?: number;
  /** Where it listens: 127.0.0.1 or ::1. */
  readonly address?: '127.0.0.1' | '::1';
  readonly tls?: ServerTls;
  readonly auth?: AuthMode;
  readonly faults?: readonly Fault[];
  /** Where the API is, without a slash at the end. Default `/v2`. */
  readonly apiRoot?: string;
  readonly lists?: ListOptions;
  /** Takes what is pushed. Default: nothing. */
  readonly uploads?: UploadOptions;
  /** Told when an answer has ended, however it did. */
  readonly onAnswer?: (request: LoggedRequest) => void;
}

/** What one object, or everything, has cost. */
export interface Traffic {
  readonly requests: number;
  /** Of bodies, as sent: less may have arrived. */
  readonly bytes: number;
}

export interface LoggedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
  readonly headers: ReadonlyMap<string, string>;
  /** Of a large one nothing. */
  readonly body: string;
  /** Bytes of the body. */
  readonly received: number;
  /** 0: none was sent. */
  status: number;
  /** Bytes of the body that were sent, as they are. */
  sent: number;
}

export interface TestRegistry extends AsyncDisposable {
  readonly url: string;
  /** `127.0.0.1:<port>`, or `[::1]:<port>`. */
  readonly host: string;
  readonly port: number;
  readonly requests: LoggedRequest[];
  /** Faults may be added and removed at any time. */
  readonly faults: Fault[];
  /** How often requests have met the fault, those that were left alone included. */
  met(fault: Fault): number;
  readonly gate: Gate;
  /** Uploads that have neither ended nor been given up. */
  openUploads(): number;
  /** The bytes of a blob or a manifest that the repository has. */
  content(repo: string, object: string): Promise<Uint8Array | undefined>;
  connections(): number;
  /** Those that are open now. */
  openConnections(): number;
  /** Requests whose answer has not ended. */
  answering(): number;
  /** Of the requests whose path or query has `part` in it (a digest, a kind of object), or of all. */
  traffic(part?: string): Traffic;
  /** All of an image's blobs and manifests; the tag points at its root. Returns `host/repo:tag`. */
  push(repo: string, tag: string, image: TestImage): string;
  putBlob(repo: string, digest: string, content: Content | Uint8Array): void;
  /** Its digest, which it can also be had by: sha256 of the content, unless another is given. */
  putManifest(repo: string, object: string, mediaType: string, content: Uint8Array, digest?: string): string;
  /** `METHOD path` of the requests, without /v2. */
  log(): string[];
  close(): Promise<void>;
}

interface Repository {
  readonly blobs: Map<string, Content>;
  readonly manifests: Map<string, { mediaType: string; digest: string; content: Content }>;
  /** The JSON of the manifests, by digest. */
  readonly documents: Map<string, Record<string, unknown>>;
}

interface Ground {
  readonly repositories: ReadonlyMap<string, Repository>;
  readonly gate: Gate;
  readonly apiRoot: string;
  readonly lists: ListOptions;
  readonly uploads: Uploads;
  readonly pushed: UploadGround | undefined;
}

export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const repositories = new Map<string, Repository>();
  const requests: LoggedRequest[] = [];
  const plan = new FaultPlan(options.faults ?? []);
  let origin = '';
  const gate = new Gate(options.auth ?? { mode: 'none' }, () => origin);
  const apiRoot = options.apiRoot ?? '/v2';
  const uploads = new Uploads();
  const repository = (name: string): Repository => {
    const found = repositories.get(name) ?? { blobs: new Map(), manifests: new Map(), documents: new Map() };
    repositories.set(name, found);
    return found;
  };
  const pushed = (): UploadGround | undefined =>
    options.uploads && { options: options.uploads, origin, apiRoot, repository, putManifest, sha256 };
  const server = await serve(
    async (request, wire) => {
      const entry = logged(request);
      requests.push(entry);
      const fault = plan.pick(request) ?? {};
      if (fault.delay !== undefined) await pause(fault.delay);
      try {
        const ground = { repositories, gate, apiRoot, lists: options.lists ?? {}, uploads, pushed: pushed() };
        const make = () => answerTo(request, ground);
        await respond(wire, request, entry, fault, make, () => plan.spare(fault));
      } finally {
        options.onAnswer?.(entry);
      }
    },
    {
      ...(options.port === undefined ? {} : { port: options.port }),
      ...(options.address === undefined ? {} : { address: options.address }),
      ...(options.tls ? { tls: options.tls } : {}),
      cuts: {
        begin: (request) => cutOf(plan.pick(request, true)),
        cut: (request) => {
          requests.push(logged(request));
          const ground = pushed();
          if (ground !== undefined) uploads.cut(request, request.url.pathname.slice(apiRoot.length), ground);
        },
      },
    },
  );
  const host = `${options.address === '::1' ? '[::1]' : '127.0.0.1'}:${server.port}`;
  origin = `${options.tls === undefined ? 'http' : 'https'}://${host}`;
  const putManifest: TestRegistry['putManifest'] = (
    repo,
    object,
    mediaType,
    bytes,
    digest = sha256(bytes),
  ) => {
    const manifest = { mediaType, digest, content: contentOf(bytes) };
    repository(repo).manifests.set(object, manifest).set(digest, manifest);
    const document = jsonOf(bytes);
    if (document !== undefined) repository(repo).documents.set(digest, document);
    return digest;
  };
  return {
    url: origin,
    host,
    port: server.port,
    requests,
    faults: plan.list,
    met: (fault) => plan.met(fault),
    gate,
    openUploads: () => uploads.open,
    async content(repo, object) {
      const { blobs, manifests } = repository(repo);
      const found = blobs.get(object) ?? manifests.get(object)?.content;
      if (found === undefined) return undefined;
      const parts: Uint8Array[] = [];
      for await (const part of found.read(0, found.size)) parts.push(part);
      return concat(parts);
    },
    connections: server.connections,
    openConnections: server.openConnections,
    answering: server.answering,
    traffic: (part = '') => trafficOf(requests.filter(({ path }) => decodeURIComponent(path).includes(part))),
    putManifest,
    putBlob: (repo, digest, content) => {
      repository(repo).blobs.set(digest, content instanceof Uint8Array ? contentOf(content) : content);
    },
    push(repo, tag, image) {
      for (const [digest, bytes] of image.blobs) repository(repo).blobs.set(digest, contentOf(bytes));
      for (const { mediaType, bytes } of image.manifests) putManifest(repo, sha256(bytes), mediaType, bytes);
      putManifest(repo, tag, image.root.mediaType, image.root.bytes, image.root.digest);
      return `${host}/${repo}:${tag}`;
    },
    log: () => requests.map(({ method, path }) => `${method} ${path.replace(apiRoot, '')}`),
    close: server.close,
    [Symbol.asyncDispose]: server.close,
  };
}

function cutOf(fault: Fault | undefined): Cut | undefined {
  if (fault?.stallRequest === true) return { at: 0, how: 'stall' };
  if (fault?.answerAt !== undefined) return { at: fault.answerAt, how: 'answer' };
  return fault?.cutRequest === undefined ? undefined : { at: fault.cutRequest, how: 'reset' };
}

function jsonOf(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return value instanceof Object ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function logged(request: ServerRequest): LoggedRequest {
  return {
    method: request.method,
    path: request.target,
    range: request.headers.get('range'),
    authorization: request.headers.get('authorization'),
    headers: request.headers,
    body: request.body.length > 65_536 ? '' : new TextDecoder().decode(request.body),
    received: request.body.length,
    status: 0,
    sent: 0,
  };
}

function trafficOf(requests: readonly LoggedRequest[]): Traffic {
  return { requests: requests.length, bytes: requests.reduce((sum, { sent }) => sum + sent, 0) };
}

function answerTo(request: ServerRequest, ground: Ground): Answer | Promise<Answer> {
  const { repositories, gate, apiRoot } = ground;
  const { pathname } = request.url;
  if (pathname === '/token' || pathname === '/token/') return gate.token(request);
  if (pathname === `${apiRoot}/`) return gate.ping(request) ?? json({});
  const path = pathname.startsWith(`${apiRoot}/`) ? decodeURIComponent(pathname.slice(apiRoot.length)) : '';
  const [, target] = /^\/(.+?)\/(?:blobs\/uploads\/[^/]*|manifests\/[^/]+)$/.exec(path) ?? [];
  if (ground.pushed !== undefined && target !== undefined && isWrite(request)) {
    const refusal = gate.check(request, target) ?? mountRefusal(request, gate);
    return refusal ?? ground.uploads.answer(request, path, ground.pushed) ?? notFound('UNSUPPORTED');
  }
  const found = /^\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path);
  if (found === null) return listFor(request, path, ground) ?? notFound('UNSUPPORTED');
  const [, name = '', kind, object = ''] = found;
  const refusal = gate.check(request, name);
  if (refusal !== undefined) return refusal;
  const repository = repositories.get(name);
  if (kind === 'manifests') {
    const manifest = repository?.manifests.get(object);
    if (manifest === undefined) return notFound('MANIFEST_UNKNOWN');
    return ok(manifest.content, manifest.mediaType, manifest.digest);
  }
  const blob = repository?.blobs.get(object);
  return blob === undefined ? notFound('BLOB_UNKNOWN') : ok(blob, 'application/octet-stream', object);
}

function isWrite({ method, url }: ServerRequest): boolean {
  return !['GET', 'HEAD'].includes(method) || url.pathname.includes('/blobs/uploads/');
}

/** Who may not read the repository that a blob is to be mounted from is refused. */
function mountRefusal(request: ServerRequest, gate: Gate): Answer | undefined {
  const from = request.url.searchParams.get('from');
  return from === null || gate.reads(request, from) ? undefined : { ...notFound('DENIED'), status: 403 };
}

function listFor(
  request: ServerRequest,
  path: string,
  { repositories, gate, lists }: Ground,
): Answer | undefined {
  const { url } = request;
  if (path === '/_catalog') {
    return gate.catalog(request) ?? namesPage(url, 'repositories', [...repositories.keys()], lists.page);
  }
  const [, name = '', digest] = /^\/(.+)\/(?:tags\/list|referrers\/([^/]+))$/.exec(path) ?? [];
  if (name === '' || (digest !== undefined && lists.referrers === undefined)) return undefined;
  const repository = repositories.get(name);
  const refusal = gate.check(request, name);
  if (refusal !== undefined) return refusal;
  if (repository === undefined) return notFound('NAME_UNKNOWN');
  if (digest !== undefined) return referrersPage(url, repository, repository.documents, digest, lists);
  const tags = [...repository.manifests.keys()].filter((object) => !object.includes(':'));
  return namesPage(url, 'tags', tags, lists.page);
}

function ok(content: Content, mediaType: string, digest: string): Answer {
  return {
    status: 200,
    headers: [
      ['Content-Type', mediaType],
      ['Docker-Content-Digest', digest],
      ['ETag', `"${digest}"`],
    ],
    content,
  };
}

function notFound(code: string): Answer {
  const message = code.toLowerCase().replaceAll('_', ' ');
  return { ...json({ errors: [{ code, message, detail: {} }] }), status: 404 };
}

function json(value: unknown): Answer {
  return {
    status: 200,
    headers: [['Content-Type', 'application/json']],
    content: contentOf(JSON.stringify(value)),
  };
}

async function respond(
  wire: Wire,
  request: ServerRequest,
  entry: LoggedRequest,
  fault: Fault,
  make: () => Answer | Promise<Answer>,
  spare: () => void,
): Promise<void> {
  if (fault.hang === true) return await wire.closed;
  if (fault.reset === true && fault.cutAfter === undefined) return wire.reset();
  if (fault.raw !== undefined) {
    await wire.write(Uint8Array.from(fault.raw, (character) => character.charCodeAt(0)));
    return wire.end();
  }
  // What is refused changes nothing.
  const refused = fault.status !== undefined && isWrite(request);
  const answer = refused ? { status: 500, headers: [], content: contentOf('') } : await make();
  if (fault.lostAnswer === true) return wire.reset();
  await spoil(answer, fault, request.target);
  const part = applyRange(request, answer, fault);
  for (const [name, value] of Object.entries(fault.headers ?? {})) setHeader(answer, name, value);
  const length = request.method === 'HEAD' ? 0 : part.end - part.start;
  if ((fault.cutAfter ?? fault.stall ?? -1) >= length) spare();
  entry.status = answer.status;
  await wire.write('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(fault.interim ?? 0));
  await wire.write(headOf(answer, fault, part.end - part.start));
  const closes = fault.noContentLength === true;
  if (request.method === 'HEAD') return closes ? wire.end() : undefined;
  const shift = answer.status === 206 ? Math.min(fault.shiftRange ?? 0, part.start) : 0;
  const bytes = answer.content.read(part.start - shift, part.end - shift);
  const alive = await sendBody(wire, bytes, fault, (sent) => {
    entry.sent += sent;
  });
  if (alive && closes) wire.end();
}

function headOf(answer: Answer, fault: Fault, length: number): string {
  const headers = [...answer.headers];
  if (fault.chunked === true) headers.push(['Transfer-Encoding', 'chunked']);
  else if (fault.noContentLength === true) headers.push(['Connection', 'close']);
  else if (fault.headers?.['Content-Length'] === undefined) headers.push(['Content-Length', String(length)]);
  const reason = answer.reason ?? STATUS_CODES[answer.status] ?? 'Unknown';
  const lines = [`HTTP/1.1 ${answer.status} ${reason}`, ...headers.map((pair) => pair.join(': '))];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Turns a 200 into a 206 or 416. What is to be sent of the content, `end` excluded. */
function applyRange(request: ServerRequest, answer: Answer, fault: Fault): { start: number; end: number } {
  const { size } = answer.content;
  const asked = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get('range') ?? '');
  const condition = request.headers.get('if-range');
  const stale = condition !== undefined && condition !== headerOf(answer, 'etag');
  if (answer.status !== 200 || asked === null || stale || fault.ignoreRange === true) {
    return { start: 0, end: size };
  }
  const start = Number(asked[1]);
  const last = asked[2] === '' ? size : Math.min(size, Number(asked[2]) + 1);
  const end = Math.min(last, start + (fault.rangeLimit ?? last));
  if (start >= size) {
    answer.status = 416;
    answer.content = contentOf('');
    answer.headers.push(['Content-Range', `bytes */${size}`]);
    return { start: 0, end: 0 };
  }
  answer.status = 206;
  if (fault.multipart === true) setHeader(answer, 'Content-Type', 'multipart/byteranges; boundary=x');
  else setHeader(answer, 'Content-Range', fault.wrongRange ?? `bytes ${start}-${end - 1}/${size}`);
  return { start, end };
}
