/** The plan of a pull: documents are fetched, into memory; nothing is stored. */

import type { InfoProvider, Provider } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { HawserError, ifFound, wrap } from '../errors.ts';
import { isPresent } from '../images/inspect.ts';
import { expandedSize } from '../layers/expanded-size.ts';
import { checkLayerCount, type LayerStep, layersOf, planUnpack } from '../layers/layer-steps.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest, digestBytes } from '../oci/digest.ts';
import { MAX_CONFIG_BYTES, parseConfig } from '../oci/documents.ts';
import { isIndexType, isManifestType, isSchema1Type } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Hashers } from '../ports/hashers.ts';
import { readCapped } from '../registry/body.ts';
import type { Fetcher } from '../registry/registry.ts';
import type { Snapshotter } from '../snapshots/snapshotter.ts';
import { UnpackChoice } from './choose.ts';
import { resolve, wantedOf } from './fetch.ts';
import type { OnManifest } from './manifest-choice.ts';
import type { PullOptions, TransferDeps } from './options.ts';
import { type WalkContent, walkImage } from './walk.ts';

export interface PlannedBlob {
  readonly desc: Descriptor;
  /** The store has it. */
  readonly present: boolean;
}

export interface PlannedUnpack {
  readonly platform: string;
  readonly layers: number;
  /** Layers that have a snapshot. */
  readonly ready: number;
  /** Bytes of the archives of the other layers. */
  readonly size: number;
  /** Number of the other layers whose size is not known: EXPANSION times the compressed size is taken. */
  readonly guessed: number;
}

export interface PullPlan {
  readonly name: string;
  readonly root: Descriptor;
  /** In the order of the walk. */
  readonly blobs: readonly PlannedBlob[];
  readonly unpacks: readonly PlannedUnpack[];
}

/** Most bytes of all documents of one plan together. */
const MAX_DOCUMENTS = 128 * 1024 * 1024;

/**
 * Walks the image as `pull` does, over a store that is only read. Errors are those that `pull` would meet before its layers.
 * NotImplemented for schema 1, whose manifests have no sizes.
 */
export async function planPull(deps: TransferDeps, options: PullOptions): Promise<PullPlan> {
  const { signal = new AbortController().signal, report = () => {} } = options;
  const root = await resolve({ deps, options, signal, report });
  if (isSchema1Type(root.mediaType)) {
    throw new HawserError('NotImplemented', `Cannot plan ${options.reference.name}: it is of schema 1`, {
      hint: 'A manifest of that age does not say how large its layers are; pull it without --plan',
    });
  }
  const fetcher = deps.registry.fetcher(options.reference);
  const store = new PlanStore(deps.backend.content, fetcher, deps.hashers);
  const found: Parameters<OnManifest>[] = [];
  const onManifest: OnManifest = (...manifest) => found.push(manifest);
  const walkDeps = { content: store, bring: store.bring, document: store.document, report: () => {} };
  await walkImage(walkDeps, root, wantedOf(deps, options), { signal, onManifest });
  const snapshotter = deps.backend.snapshotter(options.snapshotter);
  const choice = new UnpackChoice(options, deps.hostPlatform, root);
  const unpacks: PlannedUnpack[] = [];
  for (const [manifest, children, wanted] of found) {
    const config = choice.config(manifest, children);
    if (config === undefined) continue;
    checkLayerCount(manifest, layersOf(children).length, snapshotter);
    const { platform: configPlatform, diffIds } = parseConfig(
      await store.document(config, { signal }),
      config,
    );
    const platform = choice.take(manifest, wanted, configPlatform);
    if (platform === undefined) continue;
    const steps = planUnpack(manifest, children, diffIds, deps.hashers);
    unpacks.push({ platform, ...(await planLayers(deps, snapshotter, steps, { signal })) });
  }
  choice.check();
  return { name: options.reference.name, root, blobs: store.blobs, unpacks };
}

async function planLayers(
  { backend }: TransferDeps,
  snapshotter: Snapshotter,
  steps: readonly LayerStep[],
  call: Call,
): Promise<Omit<PlannedUnpack, 'platform'>> {
  let [ready, size, guessed] = [0, 0, 0];
  for (const { layer, chainId } of steps) {
    if (await isUnpacked(snapshotter, chainId, call)) {
      ready++;
      continue;
    }
    const expanded = await expandedSize(backend.content, layer, call);
    size += expanded.bytes;
    if (!expanded.known) guessed++;
  }
  return { layers: steps.length, ready, size, guessed };
}

async function isUnpacked(snapshotter: Snapshotter, chainId: string, call: Call): Promise<boolean> {
  return (await ifFound(snapshotter.stat(chainId, call))) !== undefined;
}

/** The store as it is, with the documents that were fetched for the plan in memory over it. */
class PlanStore implements WalkContent {
  readonly blobs: PlannedBlob[] = [];
  readonly #store: InfoProvider & Provider;
  readonly #fetcher: Fetcher;
  readonly #hashers: Hashers;
  readonly #absent = new Map<Digest, number>();
  readonly #documents = new Map<Digest, Uint8Array>();
  #held = 0;

  constructor(store: InfoProvider & Provider, fetcher: Fetcher, hashers: Hashers) {
    this.#store = store;
    this.#fetcher = fetcher;
    this.#hashers = hashers;
  }

  /** Takes the place of fetching a blob into the store. Of layers and configs only the size is noted. */
  readonly bring = async (desc: Descriptor, call: Call): Promise<void> => {
    const present = await isPresent(this.#store, desc.digest, call);
    this.blobs.push({ desc, present });
    if (present) return;
    this.#absent.set(desc.digest, desc.size);
    if (isManifestType(desc.mediaType) || isIndexType(desc.mediaType)) await this.document(desc, call);
  };

  /** The bytes of a manifest, index or config, from the store or (verified) from the registry. */
  readonly document = async (desc: Descriptor, call: Call): Promise<Uint8Array> => {
    if (!this.#absent.has(desc.digest)) return await readBlob(this.#store, desc, MAX_CONFIG_BYTES, call);
    const read = this.#documents.get(desc.digest) ?? (await this.#fetch(desc, call));
    this.#documents.set(desc.digest, read);
    return read;
  };

  async #fetch(desc: Descriptor, call: Call): Promise<Uint8Array> {
    this.#held += desc.size;
    if (desc.size > MAX_CONFIG_BYTES || this.#held > MAX_DOCUMENTS) {
      throw new HawserError(
        'ResourceExhausted',
        `Cannot plan: ${desc.digest} has ${desc.size} bytes, too many for a document`,
      );
    }
    try {
      const bytes = await readCapped((await this.#fetcher.fetch(desc, call)).body, desc.size);
      const digest = bytes && digestBytes(bytes, this.#hashers, algorithmOf(desc.digest));
      if (bytes !== undefined && digest === desc.digest) return bytes;
      const what = digest ?? `more than ${desc.size} bytes`;
      throw new HawserError('DataLoss', `the registry sent ${what}, want ${desc.digest}`);
    } catch (err) {
      throw wrap(`Cannot fetch ${desc.digest}`, err);
    }
  }

  async info(digest: Digest, call?: Call) {
    const size = this.#absent.get(digest);
    if (size === undefined) return await this.#store.info(digest, call);
    return { digest, size, createdAt: 0, updatedAt: 0, labels: {} };
  }

  /** Sets nothing: labels are not part of a plan. */
  async label(digest: Digest, _: unknown, call?: Call) {
    return await this.info(digest, call);
  }
}
