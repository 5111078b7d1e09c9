/** The plan of a pull: documents are fetched, into memory; nothing is stored. */

import { HawserError, ifFound } from '../errors.ts';
import { expandedSize } from '../layers/expanded-size.ts';
import {
  checkLayerCount,
  checkLayerTypes,
  type LayerStep,
  layersOf,
  planUnpack,
} from '../layers/layer-steps.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parseConfig } from '../oci/documents.ts';
import { isSchema1Type } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Snapshotter } from '../snapshots/snapshotter.ts';
import { UnpackChoice } from './choose.ts';
import { entriesOf, resolve, subjectOf, wantedOf } from './fetch.ts';
import { passGate } from './gate.ts';
import type { PullOptions, TransferDeps } from './options.ts';
import { type PlannedBlob, PlanStore } from './plan-store.ts';
import { walkImage } from './walk.ts';
import type { OnManifest } from './wanted.ts';

/** What a pull would unpack for a platform. */
export interface PlannedUnpack {
  /** `linux/arm64/v8`. */
  readonly platform: string;
  /** How many the image has. */
  readonly layers: number;
  /** Layers that have a snapshot. */
  readonly ready: number;
  /** Bytes of the archives of the other layers. */
  readonly size: number;
  /** Number of the other layers whose size is not known: EXPANSION times the compressed size is taken. */
  readonly guessed: number;
}

/** What a pull would do. */
export interface PullPlan {
  /** The image record's name. */
  readonly name: string;
  /** What the record would point at. */
  readonly root: Descriptor;
  /** In the order of the walk. */
  readonly blobs: readonly PlannedBlob[];
  /** One for each platform that is wanted. */
  readonly unpacks: readonly PlannedUnpack[];
}

/**
 * Walks the image as `pull` does, over a store that is only read. Errors are those that `pull` would meet before its layers.
 * NotImplemented for schema 1, whose manifests have no sizes.
 */
export async function planPull(deps: TransferDeps, options: PullOptions): Promise<PullPlan> {
  const { signal = new AbortController().signal, report = () => {} } = options;
  // The size of an answer to HEAD is advice, and nothing would correct a plan that is made of it.
  const root = await resolve({ deps, options, signal, report }, true);
  const verified = await passGate(deps, options, subjectOf({ deps, options }, root), { signal, report });
  if (isSchema1Type(root.mediaType)) {
    throw new HawserError('NotImplemented', `Cannot plan ${options.reference.name}: it is of schema 1`, {
      hint: 'A manifest of that age does not say how large its layers are; pull it without --plan',
    });
  }
  const choice = new UnpackChoice(options, deps.hostPlatform, root);
  choice.checkRoot();
  const fetcher = deps.registry.fetcher(options.reference);
  const { clock, hashers } = deps;
  const source = { fetcher, clock, hashers, report, retry: options.retry };
  const store = new PlanStore(deps.backend.content, source);
  const found: Parameters<OnManifest>[] = [];
  const onManifest: OnManifest = (...manifest) => found.push(manifest);
  const walkDeps = { content: store, bring: store.bring, document: store.document, report: () => {} };
  await walkImage(
    walkDeps,
    root,
    { ...wantedOf(deps, options), entries: entriesOf(verified) },
    { signal, onManifest },
  );
  const snapshotter = deps.backend.snapshotter(options.snapshotter);
  const unpacks: PlannedUnpack[] = [];
  const inOrder = found.sort(([, , , a], [, , , b]) => a - b);
  for (const [manifest, children, wanted] of inOrder) {
    const config = choice.config(manifest, children);
    if (config === undefined) continue;
    checkLayerCount(manifest, layersOf(children).length, snapshotter);
    checkLayerTypes(manifest, layersOf(children), deps.backend.applier);
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
