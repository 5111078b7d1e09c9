/** A store as a registry that is only read (distribution-spec's pull half, and what clients ask besides). */
import type { ContentStore } from '../content/content-store.ts';
import { ifFound, messageOf, withHint } from '../errors.ts';
import type { ImageStore } from '../images/image-store.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { RequestHandler, ServerRequest, ServerResponse } from '../ports/http-server.ts';
import type { RateLimit } from '../registry/flow.ts';
import { FOREVER, json, type Refusal, reasonFor, refusal, refused, streamed } from './answers.ts';
import { Beyond } from './beyond.ts';
import { Bodies } from './bodies.ts';
import { conditionOf } from './conditions.ts';
import { Contents } from './contents.ts';
import { Documents } from './documents.ts';
import type { ServeEvent } from './events.ts';
import type { BasicAuth } from './htpasswd.ts';
import { linkTo, pageOf } from './pages.ts';
import { referrersFor } from './referrers.ts';
import { type Asked, findRepository, namesOf, type Repository, repositoriesOf } from './repositories.ts';
import { type Route, routeOf } from './route.ts';
import { type Scope, scopeOf } from './scope.ts';
import { digestFor } from './tagged.ts';
import { sourceOf, type TagTarget, type Upstream } from './upstream.ts';

export interface ServeOptions {
  /** Not given: everybody may read. With users, content is given only where an image of the repository reaches it. */
  readonly auth?: BasicAuth | undefined;
  /** For all bodies together. */
  readonly limit?: RateLimit | undefined;
  /** Where content is fetched from that the store lacks. Not given: from nowhere. */
  readonly upstream?: Upstream | undefined;
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

const NO_TAGS = refusal(404, 'NAME_UNKNOWN', 'the registry knows no such repository');
/** Referrers of a page: containerd takes no more than 4,393,216 bytes. */
const MAX_REFERRER_BYTES = 4_000_000;
/** RFC 9111 section 5.5 has done away with code 111; distribution-spec's warnings are of code 299. */
const STALE = '299 - "The registry cannot be reached: this is what the tag named when it was last asked for"';

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
  readonly #contents: Contents;

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
    this.#contents = new Contents(store.content, this.#bodies);
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
      const message = `${request.method} ${request.target}: ${withHint(err)}`;
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
        return await this.#tags(route, request);
      case 'catalog': {
        const { paging, ns } = route;
        const page = pageOf(
          namesOf(await repositoriesOf(this.#store.images, call), ns),
          paging,
          (name) => name,
        );
        return json(
          200,
          { repositories: page.entries },
          linkTo('/v2/_catalog', page.next, { n: paging.n, ns }),
        );
      }
      case 'referrers':
        return await this.#referrers(route, request);
      default:
        return json(200, {});
    }
  }

  async #manifest(
    route: Extract<Route, { type: 'manifest' }>,
    request: ServerRequest,
  ): Promise<ServerResponse | Refusal> {
    const { signal, headers } = request;
    const { name, object } = route;
    const absent = refusal(404, 'MANIFEST_UNKNOWN', `${object} of ${name} is not here`);
    const target = await this.#target(route, absent, request);
    if ('code' in target) return target;
    const { digest, stale } = target;
    const info = await ifFound(this.#store.content.info(digest, { signal }));
    if (info === undefined) return absent;
    const cache = isDigest(object) ? FOREVER : 'no-cache';
    const common = {
      'docker-content-digest': digest,
      etag: `"${digest}"`,
      'cache-control': cache,
      ...(stale ? { warning: STALE } : {}),
    };
    const condition = conditionOf((header) => headers.get(header), digest);
    if (condition !== undefined) return streamed(condition, common);
    const mediaType = await this.#documents.typeOf(info, { signal });
    if (mediaType === undefined || this.#bodies.isRotten(digest)) return absent;
    const described = { ...common, 'content-type': mediaType, 'content-length': String(info.size) };
    if (request.method === 'HEAD') return streamed(200, described);
    return streamed(200, described, await this.#bodies.open(info, undefined, { signal }));
  }

  /** What a request for a manifest means, brought into the store where a registry may be asked for it. */
  async #target(
    route: Extract<Route, { type: 'manifest' }>,
    absent: Refusal,
    request: ServerRequest,
  ): Promise<TagTarget | Refusal> {
    const { object } = route;
    const call = { signal: request.signal };
    const byDigest = isDigest(object);
    const repository = byDigest && this.#isOpen ? undefined : await this.#repository(route, call);
    const known = repository === undefined || 'code' in repository ? undefined : repository;
    const digest = await digestFor(this.#documents, known, object, call);
    const mayHave = digest !== undefined && (await this.#scope(route, repository)(digest, call));
    const beyond = await this.#beyond(route, request, repository);
    if (beyond !== undefined && byDigest) return await beyond.document(object, mayHave, absent, call);
    if (beyond !== undefined) return await beyond.tag(object, digest, absent, call);
    if (mayHave) return { digest, stale: false };
    return repository && 'code' in repository ? repository : absent;
  }

  async #blob(
    route: Extract<Route, { type: 'blob' }>,
    request: ServerRequest,
  ): Promise<ServerResponse | Refusal> {
    const { signal } = request;
    const { digest } = route;
    const repository = this.#isStrict ? await this.#repository(route, { signal }) : undefined;
    const reached = await this.#scope(route, repository)(digest, { signal });
    const find = () => ifFound(this.#store.content.info(digest, { signal }));
    let info = await find();
    if (reached && info === undefined) {
      const arriving = await this.#contents.arriving(digest, request);
      if (arriving !== undefined) return arriving;
      // The blob may have come meanwhile.
      info = await find();
    }
    const rotten = this.#bodies.isRotten(digest);
    if (reached && info !== undefined && !rotten) return await this.#contents.stored(info, request);
    const absent = refusal(404, 'BLOB_UNKNOWN', `${digest} is not here`);
    const beyond = await this.#beyond(route, request, repository);
    if (beyond !== undefined) return await beyond.blob(digest, { info, rotten }, absent, request);
    return repository !== undefined && 'code' in repository ? repository : absent;
  }

  async #tags(
    route: Extract<Route, { type: 'tags' }>,
    request: ServerRequest,
  ): Promise<ServerResponse | Refusal> {
    const call = { signal: request.signal };
    const { name, ns, paging } = route;
    const repository = await this.#repository(route, call);
    const known = 'code' in repository ? undefined : [...repository.tags.keys()];
    const absent = 'code' in repository ? repository : NO_TAGS;
    const beyond = await this.#beyond(route, request, repository);
    const tags = beyond === undefined ? (known ?? absent) : await beyond.tags(known, absent, call);
    if ('code' in tags) return tags;
    const page = pageOf([...tags].sort(), paging, (tag) => tag);
    const link = linkTo(`/v2/${name}/tags/list`, page.next, { n: paging.n, ns });
    return json(200, { name, tags: page.entries }, link);
  }

  /** Empty for a digest that nothing refers to: 404 would send clients to look for tags in its place. */
  async #referrers(
    route: Extract<Route, { type: 'referrers' }>,
    request: ServerRequest,
  ): Promise<ServerResponse | Refusal> {
    const call = { signal: request.signal };
    const { name, ns, digest, artifactType, paging } = route;
    const repository = this.#isOpen ? undefined : await this.#repository(route, call);
    const beyond = await this.#beyond(route, request, repository);
    if (this.#isStrict && beyond === undefined && repository && 'code' in repository) return repository;
    const listed = (await beyond?.referrers(digest, call)) ?? [];
    if ('code' in listed) return listed;
    const mayHave = this.#scope(route, repository);
    const wanted = { subject: digest, artifactType, listed, mayHave };
    const kept = await referrersFor(this.#documents, wanted, call);
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

  /** Every document is given by every name. */
  get #isOpen(): boolean {
    return !this.#isStrict && this.#options.upstream === undefined;
  }

  #scope(asked: Asked, repository: Repository | Refusal | undefined): Scope {
    const parts = { documents: this.#documents, content: this.#store.content, ...this.#options };
    return scopeOf(parts, asked, repository);
  }

  async #repository(asked: Asked, call: Call): Promise<Repository | Refusal> {
    return findRepository(await repositoriesOf(this.#store.images, call), asked);
  }

  /** Undefined: no registry may be asked for that. */
  async #beyond(
    asked: Asked,
    { headers, signal }: ServerRequest,
    known: Repository | Refusal | undefined,
  ): Promise<Beyond | undefined> {
    const { upstream, tell } = this.#options;
    if (upstream === undefined) return undefined;
    const local = known ?? (await this.#repository(asked, { signal }));
    const source = sourceOf(upstream, asked, headers.get('via'), 'code' in local ? undefined : local);
    if (source === undefined) return undefined;
    const [contents, bodies, content] = [this.#contents, this.#bodies, this.#store.content];
    return new Beyond({ upstream, source, tell, contents, bodies, content });
  }
}

/** The registry that the client named (distribution-spec: "Registry Proxying"). */
function withNamespace(response: ServerResponse, route: Route | Refusal): ServerResponse {
  if ('status' in route || route.ns === undefined || !/^[\w.:[\]-]{1,255}$/.test(route.ns)) return response;
  return { ...response, headers: { ...response.headers, 'oci-namespace': route.ns } };
}
