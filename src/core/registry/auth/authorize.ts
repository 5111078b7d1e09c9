import { streamOf } from '../../async/byte-stream.ts';
import { SingleFlight } from '../../async/single-flight.ts';
import { BoundedMap } from '../../bounded-map.ts';
import type { Clock } from '../../ports/clock.ts';
import type { HttpRequest, HttpResponse, Transport } from '../../ports/transport.ts';
import { discard, readSome } from '../body.ts';
import {
  basicAuthorization,
  type Credential,
  type Credentials,
  isSame,
  type TokenCredential,
} from '../credentials/credential.ts';
import { statusOf } from '../failures.ts';
import type { Host } from '../hosts.ts';
import type { Layer } from '../layers.ts';
import type { Observe } from '../observe.ts';
import type { Reach } from '../reach.ts';
import { printable } from '../redact.ts';
import { type Access, type Bearer, pushScopes, type Scheme, schemeOf } from './scheme.ts';
import { fetchToken, type Token } from './tokens.ts';

/** Requests made for one, when tokens turn out to be old or too narrow. */
const MAX_TRIES = 3;
/** Repositories of which schemes, tokens and credentials are kept: clients of a server may name as many as they like. */
const MAX_KEPT = 1000;

export interface AuthorizerDeps {
  readonly clock: Clock;
  readonly credentials: Credentials;
  readonly userAgent: string;
  readonly observe: Observe;
  readonly reach: Reach;
  /** For token requests on behalf of this host; redirects are followed by its rules. */
  readonly tokenTransport: (host: Host) => Transport;
}

/** What a request was sent with. `key` is '' for Basic; `fresh`: the token was made for this very request. */
interface Sent {
  readonly header: string;
  readonly key: string;
  readonly fresh: boolean;
}

/** A request to be authorized. */
interface Errand extends Access {
  readonly request: HttpRequest;
  readonly next: Transport;
}

/**
 * Authorizes requests by the challenges of registries. Schemes, tokens and credentials are kept: tokens by registry, realm, service
 * and scope until shortly before they expire, all of the repositories that were asked last. Failures are not kept. A credential goes to its registry and to the realm that the
 * registry names, to no one else.
 */
export class Authorizer {
  readonly #deps: AuthorizerDeps;
  readonly #schemes = new BoundedMap<string, Scheme>(MAX_KEPT);
  readonly #tokens = new BoundedMap<string, Token>(MAX_KEPT);
  readonly #tokenFlights = new SingleFlight<Token>();
  readonly #credentials = new BoundedMap<string, { readonly found: Credential | undefined }>(MAX_KEPT);
  /** By origin and repository. */
  readonly #accounts = new BoundedMap<string, Credential>(MAX_KEPT);
  readonly #credentialFlights = new SingleFlight<Credential | undefined>();
  /** Keys of accesses for which the API's root has been asked for a challenge. */
  readonly #asked = new BoundedMap<string, true>(MAX_KEPT);

  constructor(deps: AuthorizerDeps) {
    this.#deps = deps;
  }

  /**
   * Authorizes requests to one registry for pulling from one repository, or (`pushes`) for writing to it. A refusal that no
   * authorization answers, or one of another origin after a redirect, is returned as it is.
   */
  layer(host: Host, repository: string, pushes: boolean): Layer {
    return (next) => async (request) => {
      if (request.url.origin !== host.base.origin) return await next(request);
      const scopes = pushes ? pushScopes(request.url, repository) : [];
      return await this.#authorized({ host, repository, scopes, request, next });
    };
  }

  async #authorized(errand: Errand): Promise<HttpResponse> {
    const { host, request, next } = errand;
    let sent = await this.#known(errand);
    for (let attempt = 1; ; attempt++) {
      const response = await next(withAuthorization(request, sent));
      if (response.url.origin !== host.base.origin || attempt === MAX_TRIES) return response;
      const answer = await this.#answer(errand, sent, response);
      if ('status' in answer) return answer;
      sent = answer;
    }
  }

  /** The account that requests for the repository are made with, for people; undefined: anonymous. */
  account(origin: string, repository: string): string | undefined {
    const credential = this.#accounts.get(`${origin} ${repository}`);
    if (credential === undefined) return undefined;
    const who = 'username' in credential ? `the user ${printable(credential.username, 100)}` : 'the token';
    return credential.source === undefined ? who : `${who} of ${printable(credential.source, 300)}`;
  }

  async #known(errand: Errand): Promise<Sent | undefined> {
    const scheme = this.#schemes.get(accessKey(errand));
    return scheme === undefined ? undefined : await this.#authorization(errand, scheme);
  }

  /** The next authorization to try, or the response where it stands. Its connection is free before another request is made. */
  async #answer(
    errand: Errand,
    sent: Sent | undefined,
    response: HttpResponse,
  ): Promise<Sent | HttpResponse> {
    const scheme =
      response.status === 401
        ? await schemeOf(response, errand, errand.request, this.#deps.reach)
        : undefined;
    if (scheme !== undefined) return (await this.#meet(errand, sent, scheme, response)) ?? response;
    if (isOldToken(errand.request, response, sent))
      return (await this.#renewed(errand, sent, response)) ?? response;
    if (sent !== undefined || !hidesChallenge(response.status)) return response;
    if (!(await this.#mayAskRoot(errand))) return response;
    const refusal = await buffered(response);
    const atRoot = await this.#challengeAtRoot(errand);
    return (atRoot === undefined ? undefined : await this.#meet(errand, sent, atRoot, refusal)) ?? refusal;
  }

  /** Undefined: the scheme has been tried, or there is no credential for it. Else the refusal's body is ended. */
  async #meet(
    errand: Errand,
    sent: Sent | undefined,
    scheme: Scheme,
    refusal: HttpResponse,
  ): Promise<Sent | undefined> {
    if (scheme === 'basic') {
      if (sent?.key === '') this.#forgetCredential(errand);
      const answer = await this.#basic(errand);
      if (answer === undefined || answer.header === sent?.header) return undefined;
      this.#schemes.set(accessKey(errand), scheme);
      await discard(refusal.body);
      return answer;
    }
    if (sent?.key === tokenKey(errand, scheme)) {
      if (sent.fresh) return undefined;
      this.#forget(sent);
    }
    this.#schemes.set(accessKey(errand), scheme);
    await discard(refusal.body);
    return await this.#bearer(errand, scheme);
  }

  async #renewed(errand: Errand, sent: Sent | undefined, refusal: HttpResponse): Promise<Sent | undefined> {
    const scheme = this.#schemes.get(accessKey(errand));
    if (scheme === undefined || scheme === 'basic' || sent === undefined) return undefined;
    this.#forget(sent);
    await discard(refusal.body);
    return await this.#bearer(errand, scheme);
  }

  /** Once for each repository, with a credential only. */
  async #mayAskRoot(errand: Errand): Promise<boolean> {
    const key = accessKey(errand);
    if (this.#asked.has(key) || (await this.#credential(errand)) === undefined) return false;
    this.#asked.set(key, true);
    return true;
  }

  /**
   * The challenge at the API's root (distribution-spec, "Determining Support"): some registries hide what is private, and challenge
   * nowhere else.
   */
  async #challengeAtRoot(errand: Errand): Promise<Scheme | undefined> {
    const { base } = errand.host;
    const url = new URL(base);
    url.pathname = `${url.pathname.replace(/\/$/, '')}/`;
    const { 'user-agent': userAgent = this.#deps.userAgent } = errand.request.headers;
    const headers = { 'user-agent': userAgent, ...errand.host.headers };
    const response = await errand.next({ method: 'GET', url, headers, signal: errand.request.signal });
    const isOwn = response.url.origin === base.origin && response.status === 401;
    const scheme = isOwn ? await schemeOf(response, errand, errand.request, this.#deps.reach) : undefined;
    await discard(response.body);
    return scheme;
  }

  async #authorization(errand: Errand, scheme: Scheme): Promise<Sent | undefined> {
    return scheme === 'basic' ? await this.#basic(errand) : await this.#bearer(errand, scheme);
  }

  /** Unless another request has got a new one meanwhile. */
  #forget({ key, header }: Sent): void {
    if (`Bearer ${this.#tokens.get(key)?.value}` === header) this.#tokens.delete(key);
  }

  async #basic(errand: Errand): Promise<Sent | undefined> {
    const credential = await this.#credential(errand);
    if (credential === undefined || !('username' in credential) || credential.secret === '') return undefined;
    return { header: basicAuthorization(credential.username, credential.secret), key: '', fresh: true };
  }

  async #bearer(errand: Errand, scheme: Bearer): Promise<Sent> {
    const credential = await this.#credential(errand);
    const key = tokenKey(errand, scheme);
    if (credential !== undefined && 'registryToken' in credential) {
      return { header: `Bearer ${credential.registryToken}`, key, fresh: true };
    }
    const kept = this.#tokens.get(key);
    if (kept !== undefined && this.#deps.clock.now() < kept.expiresAt) {
      return { header: `Bearer ${kept.value}`, key, fresh: false };
    }
    const token = await this.#tokenFlights.run(key, errand.request.signal, async (shared) => {
      const { clock } = this.#deps;
      const made = await this.#newToken(errand, scheme, credential, shared);
      this.#tokens.drop(({ expiresAt }) => expiresAt <= clock.now());
      this.#tokens.set(key, made);
      return made;
    });
    return { header: `Bearer ${token.value}`, key, fresh: true };
  }

  /** With the credential of now, where the token server refuses the one that is kept. */
  async #newToken(
    errand: Errand,
    scheme: Bearer,
    kept: TokenCredential | undefined,
    signal: AbortSignal,
  ): Promise<Token> {
    const { host } = errand;
    const deps = { ...this.#deps, send: this.#deps.tokenTransport(host) };
    const ask = async (credential: TokenCredential | undefined): Promise<Token> => {
      const account = this.account(host.base.origin, errand.repository);
      return await fetchToken(deps, { ...scheme, credential, account, host }, signal);
    };
    try {
      return await ask(kept);
    } catch (err) {
      const status = statusOf(err);
      if (kept === undefined || (status !== 401 && status !== 403)) throw err;
      this.#forgetCredential(errand);
      const found = await this.#credential({ ...errand, request: { ...errand.request, signal } });
      if (found === undefined || 'registryToken' in found || isSame(found, kept)) throw err;
      return await ask(found);
    }
  }

  /** The source may have another one by now: a client may live for months. */
  #forgetCredential({ host, repository }: Errand): void {
    this.#credentials.delete(credentialKey({ host, repository }));
  }

  async #credential({ host, repository, request }: Errand): Promise<Credential | undefined> {
    const key = credentialKey({ host, repository });
    const kept = this.#credentials.get(key);
    if (kept !== undefined) return kept.found;
    return await this.#credentialFlights.run(key, request.signal, async (shared) => {
      const found = await this.#deps.credentials(host.name, repository, { signal: shared });
      this.#credentials.set(key, { found });
      if (found !== undefined) this.#accounts.set(`${host.base.origin} ${repository}`, found);
      const source = found === undefined ? undefined : (found.source ?? 'given');
      this.#deps.observe({ type: 'credential', host: host.name, source });
      return found;
    });
  }
}

const MAX_REFUSAL_BODY = 64 * 1024;

/** The same response, its body in memory: the connection is free. */
async function buffered(response: HttpResponse): Promise<HttpResponse> {
  const { bytes } = await readSome(response.body, MAX_REFUSAL_BODY);
  return { ...response, body: streamOf(bytes) };
}

/** Answers by which registries hide that something is private. */
function hidesChallenge(status: number): boolean {
  return status === 401 || status === 403 || status === 404;
}

/** ECR answers 400 to a token that has expired. A range may be refused by 400 too: that is not asked again for. */
function isOldToken(request: HttpRequest, response: HttpResponse, sent: Sent | undefined): boolean {
  return response.status === 400 && sent?.fresh === false && !('range' in request.headers);
}

function withAuthorization(request: HttpRequest, sent: Sent | undefined): HttpRequest {
  if (sent === undefined) return request;
  return { ...request, headers: { ...request.headers, authorization: sent.header } };
}

function accessKey({ host, repository, scopes = [] }: Access): string {
  return [host.name, host.base.href, repository, ...scopes].join(' ');
}

/** With the repository: credentials may differ by it. */
function credentialKey({ host, repository }: Access): string {
  return `${host.name}/${repository}`;
}

function tokenKey({ host, repository }: Access, { realm, service, scopes }: Bearer): string {
  return JSON.stringify([host.name, host.base.origin, repository, realm.href, service, ...scopes]);
}
