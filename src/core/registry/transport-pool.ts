import type {
  ClosableTransport,
  HttpRequest,
  Transport,
  TransportOptions,
  Transports,
} from '../ports/transport.ts';
import { type AddressClass, classOf, mayLead, morePrivate } from './addresses.ts';
import type { Host } from './hosts.ts';
import { type Reach, reachByLookup } from './reach.ts';

/** The transports of one registry client: one for each set of settings, opened at the first request. */
export class TransportPool implements AsyncDisposable {
  readonly #transports: Transports;
  readonly #common: TransportOptions;
  readonly #opened = new Map<string, ClosableTransport>();
  /** By hostname: classes that the configuration lets a host lead to. */
  readonly #granted = new Map<string, AddressClass>();
  readonly reach: Reach;

  /** `granted`: every host may lead to addresses of this class and more public ones, whatever its own is. */
  constructor(transports: Transports, common: TransportOptions, granted?: Host['reach']) {
    this.#transports = transports;
    this.#common = common;
    const byLookup = reachByLookup(transports, common.proxy);
    this.reach = async (registry, call) => {
      const own = this.#granted.get(registry.hostname) ?? (await byLookup(registry, call));
      return granted === undefined ? own : morePrivate(granted, own);
    };
  }

  /**
   * For requests to this host and to the places it leads to. The host's client certificate, skipVerify and time to connect hold for its
   * own origin; its CAs hold elsewhere too. Elsewhere only addresses are connected to that the host may lead to.
   */
  forHost({ base, tls, dialTimeout, reach }: Host): Transport {
    if (reach !== undefined) this.#granted.set(base.hostname, reach);
    const own = this.#get({ ...tls, connectTimeout: dialTimeout });
    return async (request) => {
      if (request.url.origin === base.origin) return await own.send(request);
      const guard = await this.#guard(base, request);
      return await this.#get({ extraCa: tls?.extraCa }, guard).send(request);
    };
  }

  /** For servers that images of the registry name, without settings: the system's roots, no client certificate. */
  forStrangers(registry: URL): Transport {
    const none = {
      ca: undefined,
      extraCa: undefined,
      cert: undefined,
      key: undefined,
      skipVerify: undefined,
    };
    return async (request) => await this.#get({}, await this.#guard(registry, request), none).send(request);
  }

  /** The registry's class, where its targets are connected to directly; undefined: nothing is to be guarded. */
  async #guard(registry: URL, request: HttpRequest): Promise<AddressClass | undefined> {
    const isOwn = request.url.hostname === registry.hostname;
    const isGuarded = !isOwn && this.#common.proxy?.(request.url) === undefined;
    return isGuarded ? await this.reach(registry, request) : undefined;
  }

  #get(settings: TransportOptions, guard?: AddressClass, without: TransportOptions = {}): ClosableTransport {
    const set = Object.entries(settings).filter(([, value]) => value !== undefined);
    const key = JSON.stringify([set.sort(), guard, Object.keys(without)]);
    const allowAddress =
      guard === undefined ? undefined : (address: string) => mayLead(guard, classOf(address));
    const opened =
      this.#opened.get(key) ??
      this.#transports.open({ ...this.#common, ...without, ...Object.fromEntries(set), allowAddress });
    this.#opened.set(key, opened);
    return opened;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#opened.values()].map((one) => one[Symbol.asyncDispose]()));
  }
}
