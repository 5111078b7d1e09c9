import { SingleFlight } from '../async/single-flight.ts';
import type { Call } from '../ports/call.ts';
import type {
  ClosableTransport,
  HttpRequest,
  TlsOptions,
  Transport,
  TransportOptions,
  Transports,
} from '../ports/transport.ts';
import { type AddressClass, classOf, mayLead, morePrivate } from './addresses.ts';
import type { Host } from './hosts.ts';
import { type Reach, reachByLookup } from './reach.ts';

/** Certificates to trust. */
export type Roots = Pick<TlsOptions, 'ca' | 'extraCa'>;
export type ReadRoots = (call: Call) => Promise<Roots>;

/** The transports of one registry client: one for each set of settings, opened at the first request. */
export class TransportPool implements AsyncDisposable {
  readonly #transports: Transports;
  readonly #common: TransportOptions;
  readonly #readRoots: ReadRoots;
  readonly #reading = new SingleFlight<Roots>();
  #roots: Roots | undefined;
  readonly #opened = new Map<string, ClosableTransport>();
  /** By hostname: classes that the configuration lets a host lead to. */
  readonly #granted = new Map<string, AddressClass>();
  readonly reach: Reach;

  /** `reach`: every host may lead to addresses of this class and more public ones, whatever its own is. */
  constructor(
    transports: Transports,
    common: TransportOptions,
    { reach, roots = async () => ({}) }: { reach?: Host['reach']; roots?: ReadRoots | undefined } = {},
  ) {
    this.#transports = transports;
    this.#common = common;
    this.#readRoots = roots;
    const byLookup = reachByLookup(transports, common.proxy);
    this.reach = async (registry, call) => {
      const own = this.#granted.get(registry.hostname) ?? (await byLookup(registry, call));
      return reach === undefined ? own : morePrivate(reach, own);
    };
  }

  /**
   * For requests to this host and to the places it leads to. The host's client certificate, skipVerify and time to connect hold for its
   * own origin; its CAs hold elsewhere too. Elsewhere only addresses are connected to that the host may lead to.
   */
  forHost({ base, tls, dialTimeout, reach }: Host): Transport {
    if (reach !== undefined) this.#granted.set(base.hostname, reach);
    return async (request) => {
      if (request.url.origin === base.origin)
        return await this.#send(request, { ...tls, connectTimeout: dialTimeout });
      const guard = await this.#guard(base, request);
      return await this.#send(request, { extraCa: tls?.extraCa }, guard);
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
    return async (request) => await this.#send(request, {}, await this.#guard(registry, request), none);
  }

  /** The registry's class, where its targets are connected to directly; undefined: nothing is to be guarded. */
  async #guard(registry: URL, request: HttpRequest): Promise<AddressClass | undefined> {
    const isOwn = request.url.hostname === registry.hostname;
    const isGuarded = !isOwn && this.#common.proxy?.(request.url) === undefined;
    return isGuarded ? await this.reach(registry, request) : undefined;
  }

  async #send(
    request: HttpRequest,
    settings: TransportOptions,
    guard?: AddressClass,
    without: TransportOptions = {},
  ): ReturnType<Transport> {
    const roots = this.#speaksTls(request.url) ? await this.#rootsOnce(request.signal) : undefined;
    const set = Object.entries(settings).filter(([, value]) => value !== undefined);
    const key = JSON.stringify([set.sort(), guard, Object.keys(without), roots !== undefined]);
    const opened =
      this.#opened.get(key) ??
      this.#transports.open({
        ...this.#common,
        ...roots,
        ...without,
        ...Object.fromEntries(set),
        allowAddress: guard === undefined ? undefined : (address: string) => mayLead(guard, classOf(address)),
      });
    this.#opened.set(key, opened);
    return await opened.send(request);
  }

  #speaksTls(url: URL): boolean {
    return url.protocol === 'https:' || this.#common.proxy?.(url)?.protocol === 'https:';
  }

  async #rootsOnce(signal: AbortSignal | undefined): Promise<Roots> {
    this.#roots ??= await this.#reading.run('', signal, (shared) => this.#readRoots({ signal: shared }));
    return this.#roots;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#opened.values()].map((one) => one[Symbol.asyncDispose]()));
  }
}
