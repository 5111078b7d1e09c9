/** Content of registries for the clients of `serve`: brought once for all who ask, verified, stored, and held for a time. */
import { orAborted } from '../async/abort.ts';
import { Limiter } from '../async/limiter.ts';
import { within } from '../async/within.ts';
import type { Backend } from '../backend.ts';
import { BoundedMap } from '../bounded-map.ts';
import type { Info } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { type BlobDeps, fetchBlob } from '../download/fetch-blob.ts';
import { Link } from '../download/link.ts';
import { HawserError, isKind, withHint } from '../errors.ts';
import { childLabels, sourceLabels } from '../images/gc-labels.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { childrenOf, documentType, MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { isDocumentType, isSchema1Type } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { ProgressEvent, Report } from '../progress/events.ts';
import type { Reference } from '../reference/reference.ts';
import { codeOf } from '../registry/failures.ts';
import type { RetryOptions } from '../registry/patience.ts';
import type { Fetcher, Registry } from '../registry/registry.ts';
import {
  type BlobRequest,
  isAway,
  type TagRequest,
  type TagTarget,
  type Upstream,
} from '../serve/upstream.ts';
import { Admissions } from './admissions.ts';
import type { StandingGate } from './gate.ts';
import { HeldLeases } from './held-leases.ts';
import { labelContent } from './label-content.ts';
import { busy, Questions } from './questions.ts';
import { Room } from './room.ts';

export interface PullThroughDeps {
  readonly backend: Backend;
  readonly registry: Registry;
  readonly clock: Clock;
}

export interface PullThroughOptions extends StandingGate {
  readonly hosts: ReadonlySet<string>;
  /** See `Upstream`. */
  readonly id: string;
  /** Milliseconds for which content stays after it was last asked for. */
  readonly keep: number;
  readonly retry?: RetryOptions | undefined;
  /** Told of what the operator should know. */
  readonly warn: (message: string) => void;
  /** Told of who vouches for an image that comes in. */
  readonly verified?: ((event: ProgressEvent & { readonly type: 'verified' }) => void) | undefined;
}

/** Blobs fetched at once, and in work: more are refused. */
const AT_ONCE = 6;
const MAX_FLIGHTS = 128;
/** Ranges of blobs in memory, 8 MiB each. */
const PIECES = 4;
/** Tags remembered for a time without the registry. */
const MAX_REMEMBERED = 20_000;
/** Milliseconds for a registry to say what a tag names, where the answer before is known. */
const SOON = 3000;
/** Milliseconds between looks whether a collection is due. */
const TIDY_INTERVAL = 600_000;

/** Bytes of a blob are on their way (or there) once `readable` resolves. */
interface Flight {
  readonly readable: Promise<void>;
  readonly done: Promise<void>;
}

export class PullThrough implements Upstream, AsyncDisposable {
  readonly hosts: ReadonlySet<string>;
  readonly id: string;
  readonly #deps: PullThroughDeps;
  readonly #options: PullThroughOptions;
  readonly #admissions: Admissions;
  readonly #leases: HeldLeases;
  readonly #link: Link;
  readonly #downloads = new Limiter(AT_ONCE);
  readonly #questions: Questions;
  readonly #room: Room;
  readonly #flights = new Map<string, Flight>();
  readonly #named = new BoundedMap<string, Digest>(MAX_REMEMBERED);
  readonly #stop = new AbortController();
  #tidied: number;
  #tidying: Promise<void> = Promise.resolve();

  constructor(deps: PullThroughDeps, options: PullThroughOptions) {
    const { backend, clock } = deps;
    this.#deps = deps;
    this.#options = options;
    this.hosts = options.hosts;
    this.id = options.id;
    this.#admissions = new Admissions(deps, options, (event) => this.#report(event));
    this.#questions = new Questions(options.hosts);
    this.#room = new Room(backend);
    this.#leases = new HeldLeases(backend.leases, clock, options.keep);
    this.#link = new Link(clock, { pieces: PIECES });
    this.#tidied = clock.monotonic();
  }

  async tag(reference: Reference, { signal, older }: TagRequest): Promise<TagTarget> {
    const { name } = reference;
    const known = this.#named.get(name);
    const ask = (own?: AbortSignal) =>
      this.#questions.ask(this.#questions.roots, reference, own, (shared) => this.#root(reference, shared));
    const late = new HawserError('DeadlineExceeded', `${name}: no answer for ${SOON} ms`);
    const limit = { clock: this.#deps.clock, milliseconds: SOON, late };
    try {
      const isUrgent = known !== undefined || older === true;
      const { digest } = await (isUrgent ? within(limit, signal, ask) : ask(signal));
      this.#named.set(name, digest);
      return { digest, stale: false };
    } catch (err) {
      signal?.throwIfAborted();
      if (known === undefined || !isAway(err) || !(await this.#admissions.has(reference, known, { signal })))
        throw err;
      return { digest: known, stale: true };
    }
  }

  /** An answer to HEAD is only advice: where what it says cannot be had, the document itself is read. */
  async #root(reference: Reference, signal: AbortSignal): Promise<Descriptor> {
    const resolve = async (read: boolean) =>
      (await this.#deps.registry.resolve(reference, { signal, read })).root;
    const root = await resolve(false);
    try {
      await this.#bring(reference, root, { signal });
      return root;
    } catch (err) {
      if (!isKind(err, 'DataLoss', 'NotFound') && codeOf(err) !== 'SHORT') throw err;
      const again = await resolve(true);
      await this.#bring(reference, again, { signal });
      return again;
    }
  }

  async document(reference: Reference, stored: Info | undefined, call: Call): Promise<void> {
    if (stored !== undefined && (await this.#admissions.has(reference, stored.digest, call)))
      return await this.touch(stored.digest, call);
    await this.#questions.ask(this.#questions.documents, reference, call.signal, async (signal) => {
      const { registry } = this.#deps;
      const root =
        stored === undefined
          ? (await registry.resolve(reference, { signal, read: true })).root
          : await this.#described(stored, { signal });
      await this.#bring(reference, root, { signal });
    });
  }

  async #described({ digest, size }: Info, call: Call): Promise<Descriptor> {
    const bytes = await readBlob(this.#deps.backend.content, { digest, size }, MAX_MANIFEST_BYTES, call);
    return { mediaType: documentType(bytes, '') ?? 'octet-stream', digest, size };
  }

  async #bring(
    reference: Reference,
    root: Descriptor,
    call: { readonly signal: AbortSignal },
  ): Promise<void> {
    if (!isDocumentType(root.mediaType) || isSchema1Type(root.mediaType))
      throw new HawserError('NotFound', `${reference.name} is no manifest or index (${root.mediaType})`);
    await this.#admissions.admit(reference, root, call);
    const { backend, registry } = this.#deps;
    await this.#fetch(reference, root, registry.fetcher(reference), call);
    const bytes = await readBlob(backend.content, root, MAX_MANIFEST_BYTES, call);
    const children = childrenOf(bytes, root);
    this.#admissions.admitChildren(reference, root, children);
    const info = await backend.content.info(root.digest, call);
    const labels = { ...childLabels(children), ...sourceLabels(reference, info.labels) };
    await labelContent(backend.content, info, labels, this.#report, call);
    this.#tidy();
  }

  async size(reference: Reference, { signal }: Call): Promise<number> {
    return await this.#questions.ask(this.#questions.sizes, reference, signal, async (shared) => {
      return (await this.#find(reference, { signal: shared })).desc.size;
    });
  }

  async blob(reference: Reference, { anew, signal }: BlobRequest): Promise<{ readonly done: Promise<void> }> {
    signal?.throwIfAborted();
    const flight = this.#flights.get(reference.name) ?? this.#begin(reference, anew);
    await orAborted(flight.readable, signal);
    return { done: flight.done };
  }

  /** The fetch ends with the server, not with those who wait for the blob. */
  #begin(reference: Reference, anew: boolean | undefined): Flight {
    if (this.#flights.size >= MAX_FLIGHTS)
      throw busy(`Cannot fetch ${reference.name}: ${MAX_FLIGHTS} blobs are in work`);
    const { name } = reference;
    const { signal } = this.#stop;
    let onBytes = (): void => {};
    const bytes = new Promise<void>((resolve) => {
      onBytes = resolve;
    });
    const done = this.#downloads
      .run(signal, async () => {
        const { desc, fetcher } = await this.#find(reference, { signal });
        await this.#room.during(desc, { signal }, () =>
          this.#fetch(reference, desc, fetcher, { signal, anew, onBytes }),
        );
        const info = await this.#deps.backend.content.info(desc.digest, { signal });
        const labels = sourceLabels(reference, info.labels);
        await labelContent(this.#deps.backend.content, info, labels, this.#report, { signal });
      })
      .finally(() => {
        this.#flights.delete(name);
        this.#tidy();
      });
    const flight = { readable: Promise.race([bytes, done]), done };
    // Whoever waits is told; nobody may.
    for (const one of Object.values(flight)) one.catch(() => {});
    this.#flights.set(name, flight);
    return flight;
  }

  async #find(reference: Reference, call: Call) {
    const { digest, name } = reference;
    if (digest === undefined) throw new HawserError('InvalidArgument', `${name}: a digest is needed`);
    const found = await this.#deps.registry.find(reference, digest, call);
    const { mediaType } = found.desc;
    // A manifest is an image, on which the policy decides (`document`).
    if (isDocumentType(mediaType) || isSchema1Type(mediaType))
      throw new HawserError('NotFound', `${name} is no blob (${mediaType})`);
    return found;
  }

  async #fetch(
    reference: Reference,
    desc: Descriptor,
    fetcher: Fetcher,
    { signal, anew, onBytes }: BlobRequest & { readonly onBytes?: () => void },
  ): Promise<void> {
    const { backend, clock } = this.#deps;
    const lease = await this.#leases.hold(desc.digest, { signal });
    const report: Report = (event) => {
      if (event.type === 'blob' && event.status !== 'waiting') onBytes?.();
      this.#report(event);
    };
    const space = backend.space?.bind(backend);
    const { retry } = this.#options;
    const { content } = backend;
    const deps: BlobDeps = { content, fetcher, clock, report, retry, link: this.#link, space };
    const bring = async (under: string) =>
      void (await fetchBlob(deps, desc, { lease: under, labels: sourceLabels(reference), anew, signal }));
    try {
      await bring(lease);
    } catch (err) {
      if (!isKind(err, 'NotFound') || !(await this.#leases.isLost(lease, { signal }))) throw err;
      await bring(await this.#leases.hold(desc.digest, { signal }));
    }
  }

  async touch(digest: Digest, call: Call): Promise<void> {
    await this.#leases.hold(digest, call);
  }

  async tags(reference: Reference, { signal }: Call): Promise<readonly string[]> {
    const { registry } = this.#deps;
    return await this.#questions.ask(this.#questions.tags, reference, signal, (shared) =>
      registry.tags(reference, { signal: shared }),
    );
  }

  async referrers(reference: Reference, { signal }: Call): Promise<readonly Descriptor[]> {
    return await this.#questions.ask(this.#questions.referrers, reference, signal, async (shared) => {
      return (await this.#deps.registry.referrers(reference, { signal: shared })).referrers;
    });
  }

  readonly #report: Report = (event) => {
    if (event.type === 'verified') this.#options.verified?.(event);
    if (event.type === 'warning') this.#options.warn(event.message);
    if (event.type === 'retry') this.#options.warn(`${event.desc.digest}: ${event.reason}`);
  };

  /** A server that never ends collects what its leases have let go of. */
  #tidy(): void {
    const { backend, clock } = this.#deps;
    const now = clock.monotonic();
    if (backend.collectWhenDue === undefined || now - this.#tidied < TIDY_INTERVAL) return;
    this.#tidied = now;
    const { signal } = this.#stop;
    this.#tidying = backend.collectWhenDue({ signal, tell: this.#options.warn }).catch((err) => {
      if (!signal.aborted) this.#options.warn(withHint(err));
    });
  }

  /** Ends what is being fetched: it goes on from there the next time. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new HawserError('Canceled', 'The server ends'));
    await Promise.allSettled([...[...this.#flights.values()].map(({ done }) => done), this.#tidying]);
  }
}
