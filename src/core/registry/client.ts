import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { HttpRequest, HttpResponse, Transport } from '../ports/transport.ts';
import type { Reference } from '../reference/reference.ts';
import { discard } from './body.ts';
import type { Cooldowns } from './cooldown.ts';
import { type Host, type Operation, objectUrl } from './hosts.ts';
import { type HostsDeps, overHosts } from './over-hosts.ts';
import { leavesTls, type Reach, redirectRefusal } from './reach.ts';
import { safeUrl } from './redact.ts';
import { accessDenied, deniedElsewhere, isDenied, statusError } from './status.ts';

export interface ClientDeps extends HostsDeps {
  readonly userAgent: string;
  readonly partless: Set<string>;
  readonly cooldowns: Cooldowns;
  readonly reach: Reach;
  /** For the URLs that images of a registry name; follows redirects. Undefined: such URLs are not asked. */
  readonly foreign: ((registry: URL) => Transport) | undefined;
  /** Whose credential requests to this origin have for the repository, for people; undefined: anonymous. */
  readonly account: (origin: string, repository: string) => string | undefined;
  /** For what is no registry: follows redirects, and has no credentials. */
  readonly plain: (host: Host) => Transport;
  /** Authorizes pulls from one repository of one host, or (`pushes`) what writes to the repository, and follows redirects. */
  readonly transport: (host: Host, repository: string, pushes: boolean) => Transport;
}

/** Who refused, for people. */
type AskedServer = Pick<Host, 'base'> & Partial<Pick<Host, 'name' | 'namespace'>>;

/** An object of the reference's repository at one host. */
export interface RemoteObject {
  readonly host: Host;
  readonly kind: 'manifests' | 'blobs';
  /** A tag or a digest. */
  readonly object: string;
}

/** Requests for the objects of one repository. */
export class RepositoryClient {
  readonly reference: Reference;
  /** Base URLs of the hosts that cannot give parts. */
  readonly partless: Set<string>;
  readonly #deps: ClientDeps;

  constructor(deps: ClientDeps, reference: Reference) {
    this.#deps = deps;
    this.partless = deps.partless;
    this.reference = reference;
  }

  /** Asks the hosts until one has an answer; see over-hosts.ts. `last`: hosts to ask after all others; hosts that cool down come last too. */
  async overHosts<T>(
    operation: Operation,
    call: Call | undefined,
    ask: (host: Host, isLast: boolean) => Promise<T>,
    opts: { object?: string; last?: (host: Host) => boolean } = {},
  ): Promise<T> {
    const { cooldowns } = this.#deps;
    const last = (host: Host): boolean => opts.last?.(host) === true || cooldowns.left(host.base) > 0;
    const question = { operation, object: this.reference.name, ask, ...opts, last };
    return await overHosts(this.#deps, this.reference, question, call ?? {});
  }

  async send(
    method: 'GET' | 'HEAD',
    target: RemoteObject,
    headers: Readonly<Record<string, string>>,
    call: Call | undefined,
  ): Promise<HttpResponse> {
    const { host, kind, object } = target;
    return await this.#sendTo(
      host,
      { method, url: objectUrl(host, this.reference.repository, kind, object) },
      headers,
      call,
    );
  }

  /**
   * GET of a page of a list: of the host, or where an answer of the host led, by the rules for redirects: without credentials at
   * another origin, and FailedPrecondition where the host may not lead.
   */
  async sendForPage(
    host: Host,
    url: URL,
    headers: Readonly<Record<string, string>>,
    call: Call | undefined,
  ): Promise<HttpResponse> {
    const { base } = host;
    const { reach } = this.#deps;
    const refusal =
      base.protocol === 'https:' && url.protocol === 'http:'
        ? leavesTls('it would leave TLS')
        : await redirectRefusal(url, { registry: base, reach }, call ?? {});
    if (refusal !== undefined) {
      throw new HawserError(
        'FailedPrecondition',
        `GET ${safeUrl(base)}: the next page at ${safeUrl(url)} is not asked for: ${refusal.why}`,
        { hint: `The registry leads to a place that it should not${refusal.advice}` },
      );
    }
    return await this.#sendTo(host, { method: 'GET', url }, headers, call);
  }

  /** Headers of the configuration go to the host's origin only; so do credentials, see `Authorizer`. */
  async #sendTo(
    host: Host,
    what: Pick<HttpRequest, 'method' | 'url'>,
    headers: Readonly<Record<string, string>>,
    call: Call | undefined,
  ): Promise<HttpResponse> {
    const own = what.url.origin === host.base.origin ? host.headers : {};
    const common = { 'user-agent': this.#deps.userAgent, 'accept-encoding': 'identity' };
    return await this.#deps.transport(
      host,
      this.reference.repository,
      false,
    )({ ...what, headers: { ...common, ...headers, ...own }, signal: call?.signal });
  }

  get foreign(): ClientDeps['foreign'] {
    return this.#deps.foreign;
  }

  /** GET of a URL that an image names. FailedPrecondition for a URL that images of this registry may not name. */
  async sendForeign(
    url: URL,
    headers: Readonly<Record<string, string>>,
    call: Call | undefined,
  ): Promise<HttpResponse> {
    const registry = new URL(`https://${this.reference.host}`);
    const { foreign, reach } = this.#deps;
    const refusal = foreign && (await redirectRefusal(url, { registry, reach }, call ?? {}));
    if (foreign === undefined || refusal !== undefined) {
      throw new HawserError(
        'FailedPrecondition',
        `GET ${safeUrl(url)} refused: ${refusal?.why ?? 'not allowed'}`,
      );
    }
    const bare = new URL(url);
    bare.username = '';
    bare.password = '';
    bare.hash = '';
    const ours = { 'user-agent': this.#deps.userAgent, 'accept-encoding': 'identity' };
    return await foreign(registry)({
      method: 'GET',
      url: bare,
      headers: { ...ours, ...headers },
      signal: call?.signal,
    });
  }

  /** The error for an answer that refuses a list that no repository's access rules are for. Ends the answer's body. */
  async plainRefusal(response: HttpResponse): Promise<HawserError> {
    const err = await statusError({ method: 'GET' }, response, this.#deps.clock.now());
    await discard(response.body);
    return err;
  }

  /** The error for an answer that refuses a request to a host, or to a server that is none (`base` alone). Ends the answer's body. */
  async refusal(method: 'GET' | 'HEAD', response: HttpResponse, asked: AskedServer): Promise<HawserError> {
    const err = await statusError({ method }, response, this.#deps.clock.now());
    await discard(response.body);
    if (!isDenied(response.status)) return err;
    if (response.url.origin !== asked.base.origin) return deniedElsewhere(err, response.url, asked.base);
    return accessDenied(err, this.#deps.account(response.url.origin, this.reference.repository), asked);
  }
}
