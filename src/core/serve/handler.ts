/** A store as a registry that is only read (distribution-spec's pull half, and what clients ask besides). */
import type { ContentStore, Info } from '../content/content-store.ts';
import { ifFound, isKind, messageOf } from '../errors.ts';
import type { ImageStore } from '../images/image-store.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { RequestHandler, ServerRequest, ServerResponse } from '../ports/http-server.ts';
import type { RateLimit } from '../registry/flow.ts';
import { json, type Refusal, refusal, refused, streamed } from './answers.ts';
import { Bodies } from './bodies.ts';
import { conditionOf, partOf } from './conditions.ts';
import { Documents } from './documents.ts';
import type { BasicAuth } from './htpasswd.ts';
import { linkTo, pageOf } from './pages.ts';
import { findRepository, namesOf, type Repository, repositoriesOf } from './repositories.ts';
import { type Route, routeOf } from './route.ts';

/** What is told of a server's work. */
export type ServeEvent =
  | {
      /** A request has been answered; the body may still be on its way. */
      readonly type: 'request';
      readonly peer: string;
      readonly method: string;
      readonly target: string;
      readonly status: number;
      /** Bytes of the body. */
      readonly bytes: number;
    }
  /** Content of the store cannot be given, or the store cannot be read. */
  | { readonly type: 'failure'; readonly message: string };

export interface ServeOptions {
  /** Not given: everybody may read. With users, content is given only where an image of the repository reaches it. */
  readonly auth?: BasicAuth | undefined;
  /** For all bodies together. */
  readonly limit?: RateLimit | undefined;
  readonly tell: (event: ServeEvent) => void;
}

export interface ServeDeps {
  readonly clock: Clock;
  readonly hashers: Hashers;
}

export interface ServeStore {
  readonly content: Pick<ContentStore, 'arriving' | 'info' | 'open' | 'list'>;
  readonly images: Pick<ImageStore, 'list'>;
}

/** Referrers of a page: containerd takes no more than 4,393,216 bytes. */
const MAX_REFERRER_BYTES = 4_000_000;
const FOREVER = 'max-age=31536000, immutable';

/** Answers requests out of the store. */
export function registryHandler(store: ServeStore, deps: ServeDeps, options: ServeOptions): RequestHandler {
  const server = new StoreServer(store, deps, options);
  return async (request) => {
    const response = await server.answer(request);
    const { method, target, peer } = request;
    const bytes = Number(response.headers['content-length'] ?? 0);
    options.tell({ type: 'request', peer, method, target, status: response.status, bytes });
    return response;
  };
}

class StoreServer {
  readonly #store: ServeStore;
  readonly #options: ServeOptions;
  readonly #documents: Documents;
  readonly #bodies: Bodies;

  constructor(store: ServeStore, { clock, hashers }: ServeDeps, options: ServeOptions) {
    this.#store = store;
    this.#options = options;
    this.#documents = new Documents(store.content, (digest, err) =>
      options.tell({
        type: 'failure',
        message: `${digest} is damaged, and what it refers to is not found: ${messageOf(err)}`,
      }),
    );
    const onRotten = (digest: Digest, err: unknown) =>
      options.tell({
        type: 'failure',
        message: `${digest} is damaged, and was not sent whole: ${messageOf(err)}`,
      });
    this.#bodies = new Bodies({ content: store.content, clock, hashers, limit: options.limit, onRotten });
  }

  async answer(request: ServerRequest): Promise<ServerResponse> {
    try {
      const route = routeOf(request.target);
      if (!('status' in route) && route.type === 'health') return json(200, {});
      const denied = await this.#denied(request);
      if (denied !== undefined) return refused(denied);
      if (request.method !== 'GET' && request.method !== 'HEAD')
        return refused(refusal(405, 'UNSUPPORTED', 'this registry is only read', { allow: 'GET, HEAD' }));
      const answer = 'status' in route ? route : await this.#give(route, request);
      return 'code' in answer ? refused(answer) : withNamespace(answer, route);
    } catch (err) {
      request.signal.throwIfAborted();
      const message = `${request.method} ${request.target}: ${messageOf(err)}`;
      this.#options.tell({ type: 'failure', message });
      return refused(refusal(500, 'UNKNOWN', reasonFor(err)));
    }
  }

  async #denied({ headers, signal }: ServerRequest): Promise<Refusal | undefined> {
    const { auth } = this.#options;
    const verdict = await auth?.check(headers.get('authorization'), signal);
    if (verdict === undefined || verdict === 'known') return undefined;
    if (verdict === 'busy')
      return refusal(429, 'TOOMANYREQUESTS', 'too many passwords are being checked', { 'retry-after': '1' });
    const challenge = { 'www-authenticate': 'Basic realm="hawser", charset="UTF-8"' };
    return refusal(401, 'UNAUTHORIZED', 'a user and a password are needed', challenge);
  }

  async #give(route: Route, request: ServerRequest): Promise<ServerResponse | Refusal> {
    const call = { signal: request.signal };
    switch (route.type) {
      case 'manifest':
        return await this.#manifest(route, request);
      case 'blob':
        return await this.#blob(route, request);
      case 'tags':
        return await this.#tags(route, call);
      case 'catalog': {
        const { paging, ns } = route;
        const page = pageOf(namesOf(await this.#all(call), ns), paging, (name) => name);
        return json(
          200,
          { repositories: page.entries },
          linkTo('/v2/_catalog', page.next, { n: paging.n, ns }),
        );
      }
      case 'referrers':
        return await this.#referrers(route, call);
      default:
        return json(200, {});
    }
  }

  async #manifest(
    { name, ns, object }: Extract<Route, { type: 'manifest' }>,
    request: ServerRequest,
  ): Promise<ServerResponse | Refusal> {
    const { signal, headers } = request;
    const absent = refusal(404, 'MANIFEST_UNKNOWN', `${object} of ${name} is not here`);
    const byDigest = isDigest(object);
    const repository = byDigest && !this.#isStrict ? undefined : await this.#repository(name, ns, { signal });
    if (repository !== undefined && 'code' in repository) return repository;
    const digest = byDigest ? object : repository?.tags.get(object)?.digest;
    if (digest === undefined || !(await this.#mayHave(repository, digest, { signal }))) return absent;
    const info = await ifFound(this.#store.content.info(digest, { signal }));
    if (info === undefined) return absent;
    const cache = byDigest ? FOREVER : 'no-cache';
    const common = { 'docker-content-digest': digest, etag: `"${digest}"`, 'cache-control': cache };
    const condition = conditionOf((header) => headers.get(header), digest);
    if (condition !== undefined) return streamed(condition, common);
    const mediaType = await this.#documents.typeOf(info, { signal });
    if (mediaType === undefined || this.#bodies.isRotten(digest)) return absent;
    const described = { ...common, 'content-type': mediaType, 'content-length': String(info.size) };
    if (request.method === 'HEAD') return streamed(200, described);
    return streamed(200, described, await this.#bodies.open(info, undefined, { signal }));
  }

  async #blob(
    { name, ns, digest }: Extract<Route, { type: 'blob' }>,
    request: ServerRequest,
  ): Promise<ServerResponse | Refusal> {
    const { signal, headers, method } = request;
    const repository = this.#isStrict ? await this.#repository(name, ns, { signal }) : undefined;
    if (repository !== undefined && 'code' in repository) return repository;
    const reached = await this.#mayHave(repository, digest, { signal });
    const find = () => ifFound(this.#store.content.info(digest, { signal }));
    let info = reached ? await find() : undefined;
    if (reached && info === undefined) {
      const arriving = await this.#arriving(digest, request);
      if (arriving !== undefined) return arriving;
      // The blob may have come meanwhile.
      info = await find();
    }
    if (info === undefined || this.#bodies.isRotten(digest))
      return refusal(404, 'BLOB_UNKNOWN', `${digest} is not here`);
    const get = (header: string) => headers.get(header);
    const common = { etag: `"${digest}"`, 'cache-control': FOREVER, 'docker-content-digest': digest };
    const condition = conditionOf(get, digest);
    if (condition !== undefined) return streamed(condition, common);
    return await this.#content(
      info,
      method === 'HEAD' ? 'head' : partOf(get, digest, info.size),
      common,
      signal,
    );
  }

  /** A blob that some process is fetching is sent as it comes, from its start. */
  async #arriving(digest: Digest, { method, signal }: ServerRequest): Promise<ServerResponse | undefined> {
    const arriving = await this.#store.content.arriving?.(digest, { signal });
    if (arriving === undefined) return undefined;
    const headers = {
      'docker-content-digest': digest,
      etag: `"${digest}"`,
      'content-type': 'application/octet-stream',
      'content-length': String(arriving.size),
    };
    const body = this.#bodies.follow(digest, arriving, { signal });
    if (method === 'HEAD') await body.cancel();
    return method === 'HEAD' ? streamed(200, headers) : streamed(200, headers, body);
  }

  async #content(
    info: Info,
    part: ReturnType<typeof partOf> | 'head',
    common: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<ServerResponse | Refusal> {
    const { size } = info;
    const type = { ...common, 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes' };
    if (part === 'none')
      return refusal(416, 'UNSUPPORTED', 'there are no such bytes', { 'content-range': `bytes */${size}` });
    if (part === 'head') return streamed(200, { ...type, 'content-length': String(size) });
    if (part === 'whole') {
      const body = await this.#bodies.open(info, undefined, { signal });
      return streamed(200, { ...type, 'content-length': String(size) }, body);
    }
    const { start, end } = part;
    const range = {
      'content-range': `bytes ${start}-${end}/${size}`,
      'content-length': String(end - start + 1),
    };
    return streamed(206, { ...type, ...range }, await this.#bodies.open(info, part, { signal }));
  }

  async #tags(
    { name, ns, paging }: Extract<Route, { type: 'tags' }>,
    call: Call,
  ): Promise<ServerResponse | Refusal> {
    const repository = await this.#repository(name, ns, call);
    if ('code' in repository) return repository;
    const page = pageOf([...repository.tags.keys()].sort(), paging, (tag) => tag);
    const link = linkTo(`/v2/${name}/tags/list`, page.next, { n: paging.n, ns });
    return json(200, { name, tags: page.entries }, link);
  }

  /** Empty for a digest that nothing refers to: 404 would send clients to look for tags in its place. */
  async #referrers(
    { name, ns, digest, artifactType, paging }: Extract<Route, { type: 'referrers' }>,
    call: Call,
  ): Promise<ServerResponse | Refusal> {
    const repository = this.#isStrict ? await this.#repository(name, ns, call) : undefined;
    if (repository !== undefined && 'code' in repository) return repository;
    const all = await this.#documents.referrersOf(digest, call);
    const kept = [];
    for (const one of all) {
      if (artifactType !== undefined && one.artifactType !== artifactType) continue;
      if (await this.#mayHave(repository, one.descriptor.digest as Digest, call)) kept.push(one.descriptor);
    }
    const bytes = { sizeOf: (one: object) => JSON.stringify(one).length, limit: MAX_REFERRER_BYTES };
    const page = pageOf(kept, paging, (one) => one.digest, bytes);
    const { n } = paging;
    const link = linkTo(`/v2/${name}/referrers/${digest}`, page.next, { n, ns, artifactType });
    const filters = artifactType === undefined ? {} : { 'oci-filters-applied': 'artifactType' };
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: page.entries };
    return json(200, index, { ...link, ...filters }, OCI_INDEX);
  }

  get #isStrict(): boolean {
    return this.#options.auth !== undefined;
  }

  async #mayHave(repository: Repository | undefined, digest: Digest, call: Call): Promise<boolean> {
    return repository === undefined || (await this.#documents.reaches(repository.roots, digest, call));
  }

  async #repository(name: string, ns: string | undefined, call: Call): Promise<Repository | Refusal> {
    return findRepository(await this.#all(call), name, ns);
  }

  async #all(call: Call): ReturnType<typeof repositoriesOf> {
    return await repositoriesOf(this.#store.images, call);
  }
}

/** The registry that the client named (distribution-spec: "Registry Proxying"). */
function withNamespace(response: ServerResponse, route: Route | Refusal): ServerResponse {
  if ('status' in route || route.ns === undefined || !/^[\w.:[\]-]{1,255}$/.test(route.ns)) return response;
  return { ...response, headers: { ...response.headers, 'oci-namespace': route.ns } };
}

/** For the client: without paths of this machine. */
function reasonFor(err: unknown): string {
  return isKind(err, 'DataLoss') ? 'the content here is damaged' : 'the store cannot be read';
}
