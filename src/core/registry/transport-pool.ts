import type { ClosableTransport, Transport, TransportOptions, Transports } from '../ports/transport.ts';
import type { Host } from './hosts.ts';

/** The transports of one registry client: one for each set of settings, opened at the first request. */
export class TransportPool implements AsyncDisposable {
  readonly #transports: Transports;
  readonly #common: TransportOptions;
  readonly #opened = new Map<string, ClosableTransport>();

  constructor(transports: Transports, common: TransportOptions) {
    this.#transports = transports;
    this.#common = common;
  }

  /**
   * For requests to this host and to the targets of its redirects. The host's client certificate, skipVerify and time to connect
   * hold for its own origin; its CAs hold for the targets too.
   */
  forHost({ base, tls, dialTimeout }: Host): Transport {
    const own = this.#get({ ...tls, connectTimeout: dialTimeout });
    const others = this.#get({ extraCa: tls?.extraCa });
    return async (request) => await (request.url.origin === base.origin ? own : others).send(request);
  }

  /** For servers without settings: the system's roots, no client certificate. */
  forStrangers(): Transport {
    const { connections, proxy, connectTimeout, headersTimeout, stallTimeout } = this.#common;
    const settings = { connections, proxy, connectTimeout, headersTimeout, stallTimeout };
    const opened = this.#opened.get('strangers') ?? this.#transports.open(settings);
    this.#opened.set('strangers', opened);
    return opened.send;
  }

  #get(settings: TransportOptions): ClosableTransport {
    const set = Object.entries(settings).filter(([, value]) => value !== undefined);
    const key = JSON.stringify(set.sort());
    const opened =
      this.#opened.get(key) ?? this.#transports.open({ ...this.#common, ...Object.fromEntries(set) });
    this.#opened.set(key, opened);
    return opened;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#opened.values()].map((one) => one[Symbol.asyncDispose]()));
  }
}
