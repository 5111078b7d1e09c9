import type { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { HttpRequest, HttpResponse, Transport } from '../ports/transport.ts';
import type { Reference } from '../reference/reference.ts';
import { discard } from './body.ts';
import { type Host, type Operation, objectUrl } from './hosts.ts';
import { type HostsDeps, overHosts } from './over-hosts.ts';
import { accessDenied, isDenied, statusError } from './status.ts';

export interface ClientDeps extends HostsDeps {
  readonly userAgent: string;
  /** Authorized for pulling from one repository of one host, redirects followed. */
  readonly transport: (host: Host, repository: string) => Transport;
}

/** An object of the reference's repository at one host. */
export interface Target {
  readonly host: Host;
  readonly kind: 'manifests' | 'blobs';
  /** A tag or a digest. */
  readonly object: string;
}

/** Requests for the objects of one repository. */
export class RepositoryClient {
  readonly reference: Reference;
  readonly #deps: ClientDeps;

  constructor(deps: ClientDeps, reference: Reference) {
    this.#deps = deps;
    this.reference = reference;
  }

  /** Asks the hosts until one has an answer; see over-hosts.ts. `last`: hosts to ask after all others for this object. */
  async overHosts<T>(
    operation: Operation,
    call: Call | undefined,
    ask: (host: Host) => Promise<T>,
    opts: { object?: string; last?: (host: Host) => boolean } = {},
  ): Promise<T> {
    const question = { operation, object: this.reference.name, ask, ...opts };
    return await overHosts(this.#deps, this.reference, question, call ?? {});
  }

  async send(
    method: 'GET' | 'HEAD',
    target: Target,
    headers: Readonly<Record<string, string>>,
    call: Call | undefined,
  ): Promise<HttpResponse> {
    const { repository } = this.reference;
    const request: HttpRequest = {
      method,
      url: objectUrl(target.host, repository, target.kind, target.object),
      headers: {
        'user-agent': this.#deps.userAgent,
        'accept-encoding': 'identity',
        ...headers,
        ...target.host.headers,
      },
      signal: call?.signal,
    };
    return await this.#deps.transport(target.host, repository)(request);
  }

  /** The error that an answer stands for. Ends its body. */
  async refusal(method: 'GET' | 'HEAD', response: HttpResponse): Promise<HawserError> {
    const err = await statusError({ method }, response, this.#deps.clock.now());
    await discard(response.body);
    return isDenied(response.status) ? accessDenied(err) : err;
  }
}
