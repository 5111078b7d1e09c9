/** A registry that answers for images of layouts and archives, too: each verb that asks a registry reads a layout likewise. */
import type { Provider } from '../content/content-store.ts';
import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { OCTET_STREAM } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { LayoutImage, Reference } from '../reference/reference.ts';
import type { Fetcher, Registry } from '../registry/registry.ts';
import type { Runtime } from '../runtime.ts';
import type { Evidence } from '../trust/evidence.ts';
import { LayoutFetcher, readArchived } from './archive-blobs.ts';
import { blobsAt } from './blob-files.ts';
import { layoutEvidence } from './layout-evidence.ts';
import { openLayout, prefixOf } from './layout-source.ts';
import type { Archive } from './members.ts';
import { layoutContent } from './oci-roots.ts';

/** References of `referenceOf` that lead into a layout are answered from there; `registry`, which is closed with it, answers the others. */
export function withLayouts(registry: Registry, deps: Pick<Runtime, 'fs' | 'hashers'>): Registry {
  const layouts = new Layouts(deps);
  return {
    async resolve(reference, request = {}) {
      const { layout } = reference;
      if (layout === undefined) return await registry.resolve(reference, request);
      await (await layouts.blobs(layout, request)).require(layout.root, request);
      return { reference, root: layout.root };
    },
    fetcher: (reference) =>
      reference.layout === undefined ? registry.fetcher(reference) : layouts.fetcher(reference.layout),
    async find(reference, digest, request = {}) {
      const { layout } = reference;
      if (layout === undefined) return await registry.find(reference, digest, request);
      const { size } = await (await layouts.blobs(layout, request)).listed(digest, request);
      const { mediaType = '' } = request;
      const desc = { mediaType: mediaType === '' ? OCTET_STREAM : mediaType, digest, size };
      return { desc, fetcher: layouts.fetcher(layout) };
    },
    tags: async (reference, request) => await registry.tags(atRegistry(reference, 'ask'), request),
    access: async (host, request) => await registry.access(host, request),
    catalog: async (host, request) => await registry.catalog(host, request),
    referrers: async (reference, request) => await registry.referrers(atRegistry(reference, 'ask'), request),
    evidence: (reference) =>
      reference.layout === undefined ? registry.evidence(reference) : layouts.evidence(reference.layout),
    file: (url, call) => registry.file(url, call),
    // Nothing is written into a layout.
    writer: async (reference, call) => await registry.writer(atRegistry(reference, 'write'), call),
    async [Symbol.asyncDispose]() {
      await Promise.all([registry[Symbol.asyncDispose](), layouts[Symbol.asyncDispose]()]);
    },
  };
}

function atRegistry(reference: Reference, doing: 'ask' | 'write'): Reference {
  if (reference.layout === undefined) return reference;
  const what =
    doing === 'ask'
      ? 'Cannot ask a layout for lists'
      : 'Cannot write into a layout that is read like a registry';
  throw new HawserError('NotImplemented', what);
}

interface Opened {
  readonly blobs: LayoutFetcher;
  /** All that the index of a layout lists, signatures among it. */
  roots(call: Call): Promise<readonly Descriptor[]>;
}

/** Each layout is opened once. */
class Layouts implements AsyncDisposable {
  readonly #deps: Pick<Runtime, 'fs' | 'hashers'>;
  readonly #archives = new Map<string, Promise<Archive>>();
  readonly #opened = new WeakMap<LayoutImage, Promise<Opened>>();

  constructor(deps: Pick<Runtime, 'fs' | 'hashers'>) {
    this.#deps = deps;
  }

  async blobs(layout: LayoutImage, call: Call): Promise<LayoutFetcher> {
    return (await this.#opening(layout, call)).blobs;
  }

  #opening(layout: LayoutImage, call: Call): Promise<Opened> {
    const opening = this.#opened.get(layout) ?? this.#open(layout, call);
    this.#opened.set(layout, opening);
    return opening;
  }

  fetcher(layout: LayoutImage): Fetcher {
    return {
      place: layout.path,
      fetch: async (desc, request = {}) => (await this.blobs(layout, request)).fetch(desc, request),
    };
  }

  evidence(layout: LayoutImage): Evidence {
    const open = (call: Call) => this.#evidence(layout, call);
    return {
      tagged: async (tag, limit, call) => (await open(call)).tagged(tag, limit, call),
      referrers: async (subject, type, call) => (await open(call)).referrers(subject, type, call),
      read: async (desc, limit, call) => (await open(call)).read(desc, limit, call),
    };
  }

  async #evidence(layout: LayoutImage, call: Call): Promise<Evidence> {
    const { blobs, roots } = await this.#opening(layout, call);
    const open: Provider['open'] = (digest, opts = {}) => blobs.read(digest, opts);
    return layoutEvidence({ open }, await roots(call));
  }

  async #open({ path, files }: LayoutImage, call: Call): Promise<Opened> {
    const { fs, hashers } = this.#deps;
    const opening = this.#archives.get(path) ?? openLayout(fs, path, call);
    this.#archives.set(path, opening);
    const archive = await opening;
    if (files !== undefined)
      return { blobs: new LayoutFetcher(blobsAt(archive, files), '', hashers), roots: async () => [] };
    const prefix = await prefixOf(archive, call);
    return {
      blobs: new LayoutFetcher(archive, prefix, hashers),
      roots: async (call) => {
        const read = (name: string, limit: number) =>
          readArchived(archive, undefined, `${prefix}${name}`, limit, call);
        return (await layoutContent(read, hashers)).roots;
      },
    };
  }

  /** No request runs any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await Promise.allSettled(this.#archives.values());
    this.#archives.clear();
    for (const one of opened) if (one.status === 'fulfilled') await one.value[Symbol.asyncDispose]();
  }
}
