/** A registry that answers for images of layouts, too: each verb that asks a registry reads a layout likewise. */
import { cleanedUp } from '../async/cleanup.ts';
import { HawserError } from '../errors.ts';
import { OCTET_STREAM } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { LayoutImage, Reference } from '../reference/reference.ts';
import type { Fetcher, Registry } from '../registry/registry.ts';
import type { Runtime } from '../runtime.ts';
import { LayoutFetcher } from './archive-blobs.ts';
import { openLayout, prefixOf } from './layout-source.ts';
import type { Archive } from './members.ts';

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
    tags: async (reference, request) => await registry.tags(atRegistry(reference), request),
    access: async (host, request) => await registry.access(host, request),
    catalog: async (host, request) => await registry.catalog(host, request),
    referrers: async (reference, request) => await registry.referrers(atRegistry(reference), request),
    evidence: (reference) => registry.evidence(atRegistry(reference)),
    // Nothing is written into a layout.
    writer: async (reference, call) => await registry.writer(atRegistry(reference), call),
    async [Symbol.asyncDispose]() {
      await Promise.all([registry[Symbol.asyncDispose](), layouts[Symbol.asyncDispose]()]);
    },
  };
}

function atRegistry(reference: Reference): Reference {
  if (reference.layout === undefined) return reference;
  throw new HawserError('NotImplemented', 'Cannot ask a layout for lists');
}

interface Opened {
  readonly archive: Archive;
  readonly blobs: LayoutFetcher;
}

/** Each layout is opened once. */
class Layouts implements AsyncDisposable {
  readonly #deps: Pick<Runtime, 'fs' | 'hashers'>;
  readonly #opened = new Map<string, Promise<Opened>>();

  constructor(deps: Pick<Runtime, 'fs' | 'hashers'>) {
    this.#deps = deps;
  }

  async blobs({ path }: LayoutImage, call: Call): Promise<LayoutFetcher> {
    const opening = this.#opened.get(path) ?? this.#open(path, call);
    this.#opened.set(path, opening);
    return (await opening).blobs;
  }

  fetcher(layout: LayoutImage): Fetcher {
    return {
      place: layout.path,
      fetch: async (desc, request = {}) => (await this.blobs(layout, request)).fetch(desc, request),
    };
  }

  async #open(path: string, call: Call): Promise<Opened> {
    const { fs, hashers } = this.#deps;
    const archive = await openLayout(fs, path, call);
    try {
      return { archive, blobs: new LayoutFetcher(archive, await prefixOf(archive, call), hashers) };
    } catch (err) {
      throw await cleanedUp(err, () => archive[Symbol.asyncDispose]());
    }
  }

  /** No request runs any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await Promise.allSettled(this.#opened.values());
    this.#opened.clear();
    for (const one of opened) if (one.status === 'fulfilled') await one.value.archive[Symbol.asyncDispose]();
  }
}
