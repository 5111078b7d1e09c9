import { SingleFlight } from '../../async/single-flight.ts';
import { HawserError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { HttpRequest, HttpResponse, Transport } from '../../ports/transport.ts';
import { realmRefusal } from '../addresses.ts';
import { discard } from '../body.ts';
import { basicAuthorization, type Credential, type Credentials } from '../credentials/credential.ts';
import type { Host } from '../hosts.ts';
import type { Layer } from '../layers.ts';
import type { Observe } from '../observe.ts';
import { printable, safeUrl } from '../redact.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import { fetchToken, type Token } from './tokens.ts';

/** Requests made for one, when tokens turn out to be old or too narrow. */
const MAX_TRIES = 3;

export interface AuthorizerDeps {
  readonly clock: Clock;
  readonly credentials: Credentials;
  readonly userAgent: string;
  readonly observe: Observe;
  /** For token requests on behalf of this host; redirects are followed by its rules. */
  readonly tokenTransport: (host: Host) => Transport;
}

/** What is asked for, and where. */
interface Access {
  readonly host: Host;
  readonly repository: string;
}

interface Bearer {
  readonly realm: URL;
  readonly service: string;
  readonly scopes: readonly string[];
}

/** What a request was sent with. `key` is '' for Basic; `fresh`: the token was made for this very request. */
interface Sent {
  readonly header: string;
  readonly key: string;
  readonly fresh: boolean;
}

/**
 * Knows what registries ask for, and the tokens had. Tokens are kept by registry, realm, service and scope until shortly
 * before they expire; failures are not kept. A credential goes to the registry it is for and to the realm which that
 * registry names, to no one else.
 */
export class Authorizer {
  readonly #deps: AuthorizerDeps;
  readonly #schemes = new Map<string, 'basic' | Bearer>();
  readonly #tokens = new Map<string, Token>();
  readonly #tokenFlights = new SingleFlight<Token>();
  readonly #credentials = new Map<string, Credential | undefined>();
  readonly #credentialFlights = new SingleFlight<Credential | undefined>();

  constructor(deps: AuthorizerDeps) {
    this.#deps = deps;
  }

  /**
   * Answers the 401s of one registry for pulling from one repository. A 401 that cannot be answered, or one of
   * another origin after a redirect, is returned as it is.
   */
  layer(host: Host, repository: string): Layer {
    const access = { host, repository };
    return (next) => async (request) => {
      if (request.url.origin !== host.base.origin) return await next(request);
      let sent = await this.#known(access, request.signal);
      for (let attempt = 1; ; attempt++) {
        const response = await next(withAuthorization(request, sent));
        if (response.url.origin !== host.base.origin || attempt === MAX_TRIES) return response;
        const answer =
          response.status === 401
            ? await this.#answer(access, sent, response, request.signal)
            : isOldToken(request, response, sent)
              ? await this.#renewed(access, sent, response, request.signal)
              : undefined;
        if (answer === undefined) return response;
        sent = answer;
      }
    };
  }

  async #known(access: Access, signal: AbortSignal | undefined): Promise<Sent | undefined> {
    const scheme = this.#schemes.get(accessKey(access));
    if (scheme === undefined) return undefined;
    return scheme === 'basic'
      ? await this.#basic(access, signal)
      : await this.#bearer(access, scheme, signal);
  }

  async #answer(
    access: Access,
    sent: Sent | undefined,
    response: HttpResponse,
    signal: AbortSignal | undefined,
  ): Promise<Sent | undefined> {
    const challenges = parseChallenges(response.headers.get('www-authenticate') ?? '');
    const scheme = choose(challenges, access, response);
    if (scheme === undefined) return undefined;
    if (scheme === 'basic') {
      const answer = sent?.key === '' ? undefined : await this.#basic(access, signal);
      if (answer === undefined) return undefined;
      this.#schemes.set(accessKey(access), scheme);
      await discard(response.body);
      return answer;
    }
    const key = tokenKey(access, scheme);
    if (sent?.key === key) {
      if (sent.fresh) return undefined;
      this.#forget(sent);
    }
    await discard(response.body);
    this.#schemes.set(accessKey(access), scheme);
    return await this.#bearer(access, scheme, signal);
  }

  async #renewed(
    access: Access,
    sent: Sent | undefined,
    response: HttpResponse,
    signal: AbortSignal | undefined,
  ): Promise<Sent | undefined> {
    const scheme = this.#schemes.get(accessKey(access));
    if (scheme === undefined || scheme === 'basic' || sent === undefined) return undefined;
    this.#forget(sent);
    await discard(response.body);
    return await this.#bearer(access, scheme, signal);
  }

  /** Unless another request has got a new one meanwhile. */
  #forget({ key, header }: Sent): void {
    if (`Bearer ${this.#tokens.get(key)?.value}` === header) this.#tokens.delete(key);
  }

  async #basic(access: Access, signal: AbortSignal | undefined): Promise<Sent | undefined> {
    const credential = await this.#credential(access, signal);
    if (credential === undefined || !('username' in credential) || credential.secret === '') return undefined;
    return { header: basicAuthorization(credential.username, credential.secret), key: '', fresh: true };
  }

  async #bearer(access: Access, scheme: Bearer, signal: AbortSignal | undefined): Promise<Sent> {
    const credential = await this.#credential(access, signal);
    if (credential !== undefined && 'registryToken' in credential) {
      return { header: `Bearer ${credential.registryToken}`, key: tokenKey(access, scheme), fresh: true };
    }
    const key = tokenKey(access, scheme);
    const kept = this.#tokens.get(key);
    if (kept !== undefined && this.#deps.clock.now() < kept.expiresAt) {
      return { header: `Bearer ${kept.value}`, key, fresh: false };
    }
    const token = await this.#tokenFlights.run(key, signal, async (shared) => {
      const { clock, userAgent } = this.#deps;
      const send = this.#deps.tokenTransport(access.host);
      const made = await fetchToken({ send, clock, userAgent }, { ...scheme, credential }, shared);
      this.#tokens.set(key, made);
      return made;
    });
    return { header: `Bearer ${token.value}`, key, fresh: true };
  }

  async #credential(access: Access, signal: AbortSignal | undefined): Promise<Credential | undefined> {
    const { host, repository } = access;
    const key = `${host.name}/${repository}`;
    if (this.#credentials.has(key)) return this.#credentials.get(key);
    return await this.#credentialFlights.run(key, signal, async (shared) => {
      const found = await this.#deps.credentials(host.name, repository, { signal: shared });
      this.#credentials.set(key, found);
      const source = found === undefined ? undefined : (found.source ?? 'given');
      this.#deps.observe({ type: 'credential', host: host.name, source });
      return found;
    });
  }
}

/** ECR answers 400 to a token that has expired. A range may be refused by 400 too: that is not asked again for. */
function isOldToken(request: HttpRequest, response: HttpResponse, sent: Sent | undefined): boolean {
  return response.status === 400 && sent?.fresh === false && !('range' in request.headers);
}

function withAuthorization(request: HttpRequest, sent: Sent | undefined): HttpRequest {
  if (sent === undefined) return request;
  return { ...request, headers: { ...request.headers, authorization: sent.header } };
}

function accessKey({ host, repository }: Access): string {
  return `${host.name} ${host.base.href} ${repository}`;
}

/** With the repository: credentials may differ by it. */
function tokenKey({ host, repository }: Access, { realm, service, scopes }: Bearer): string {
  return JSON.stringify([host.name, host.base.origin, repository, realm.href, service, ...scopes]);
}

/** Bearer before Basic; a Bearer challenge without a realm only counts when there is nothing else. */
function choose(
  challenges: readonly Challenge[],
  access: Access,
  response: HttpResponse,
): 'basic' | Bearer | undefined {
  const bearers = challenges.filter(({ scheme }) => scheme === 'bearer');
  const usable = bearers.find(({ params }) => (params.get('realm') ?? '') !== '');
  if (usable !== undefined) return bearerOf(usable, access, response);
  if (challenges.some(({ scheme }) => scheme === 'basic')) return 'basic';
  if (bearers.length === 0) return undefined;
  throw new HawserError(
    'Unauthenticated',
    `${safeUrl(response.url)}: failed to authorize: no realm specified for token auth challenge`,
  );
}

function bearerOf({ params }: Challenge, { host, repository }: Access, response: HttpResponse): Bearer {
  const text = params.get('realm') ?? '';
  const why = URL.canParse(text) ? realmRefusal(new URL(text), host.base) : 'it is not a URL';
  if (why !== undefined) {
    const shown = URL.canParse(text) ? safeUrl(new URL(text)) : printable(text, 200);
    throw new HawserError(
      'PermissionDenied',
      `${safeUrl(response.url)}: failed to authorize: token realm ${shown} refused: ${why}`,
      { hint: 'The registry sends us for tokens to a place that it should not; no credential was sent' },
    );
  }
  const realm = new URL(text);
  realm.username = '';
  realm.password = '';
  realm.hash = '';
  const asked = (params.get('scope') ?? '').split(' ').filter((one) => one !== '');
  const scopes = [...new Set([`repository:${repository}:pull`, ...asked])].sort();
  return { realm, service: params.get('service') ?? '', scopes };
}
