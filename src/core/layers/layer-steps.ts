/** What unpacking an image means, decided before anything is touched. Pure. */
import { visible } from '../bytes.ts';
import { HawserError, wrap } from '../errors.ts';
import { chainIds } from '../oci/chain-id.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest } from '../oci/digest.ts';
import { isLayerType } from '../oci/media-types.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { LayerSnapshotter } from '../snapshots/snapshotter.ts';
import type { Applier } from './applier.ts';

export interface LayerStep {
  readonly index: number;
  readonly layer: Descriptor;
  readonly diffId: Digest;
  /** '' for the first. */
  readonly parent: string;
  readonly chainId: Digest;
}

/** Most layers of an image that is unpacked. Docker makes at most 127. */
export const MAX_LAYERS = 1000;

/** Whether the image has more layers than can be unpacked, or than the snapshotter can show. Before its layers are fetched. */
export function checkLayerCount(
  manifest: Descriptor,
  count: number,
  { name, maxLayers = MAX_LAYERS }: Pick<LayerSnapshotter, 'name' | 'maxLayers'>,
): void {
  if (count > MAX_LAYERS) throw tooManyLayers(manifest, count);
  if (count <= maxLayers) return;
  throw new HawserError(
    'FailedPrecondition',
    `Cannot unpack ${manifest.digest}: it has ${count} layers, and the snapshotter ${name} can show ${maxLayers}`,
    { hint: 'Use --snapshotter native, or unpack it into a directory: hawser unpack REF --rootfs DIR' },
  );
}

function tooManyLayers({ digest }: Descriptor, count: number): HawserError {
  return new HawserError(
    'ResourceExhausted',
    `Cannot unpack ${digest}: it has ${count} layers, more than the ${MAX_LAYERS} that an image may have`,
    { hint: 'Its content can be fetched: hawser content fetch REF' },
  );
}

/** NotImplemented for a layer that can never be unpacked. Before the layers are fetched. */
export function checkLayerTypes(
  manifest: Descriptor,
  layers: readonly Descriptor[],
  applier: Pick<Applier, 'checkType'>,
): void {
  for (const [at, { mediaType }] of layers.entries()) {
    try {
      applier.checkType?.(mediaType);
    } catch (err) {
      throw wrap(`Cannot unpack ${manifest.digest}: layer ${at + 1} of ${layers.length}`, err);
    }
  }
}

/** Signatures and the like may come with an image's config. */
function noLayers({ digest }: Descriptor, [, first]: readonly Descriptor[]): HawserError {
  return new HawserError(
    'FailedPrecondition',
    `Cannot unpack ${digest}: it is an artifact, not an image (its layers are ${visible(first?.mediaType ?? '')})`,
    { hint: 'Fetch it without unpacking: hawser content fetch REF' },
  );
}

/** The layers among a manifest's children, by their media types, as in containerd 2.x. */
export function layersOf(children: readonly Descriptor[]): Descriptor[] {
  return children.slice(1).filter((child) => isLayerType(child.mediaType));
}

/**
 * Pairs layers with diff IDs (image-spec config.md, `rootfs`). A different number of each: InvalidArgument. More than
 * MAX_LAYERS: ResourceExhausted. Diff IDs of another algorithm than sha256: NotImplemented.
 */
export function planUnpack(
  manifest: Descriptor,
  children: readonly Descriptor[],
  diffIds: readonly Digest[],
  hashers: Hashers,
): LayerStep[] {
  const layers = layersOf(children);
  if (layers.length === 0 && children.length > 1) throw noLayers(manifest, children);
  if (layers.length > MAX_LAYERS) throw tooManyLayers(manifest, layers.length);
  if (layers.length !== diffIds.length) {
    throw new HawserError(
      'InvalidArgument',
      `Cannot unpack ${manifest.digest}: number of layers and diffIDs don't match: ${layers.length} != ${diffIds.length}`,
      { hint: 'The manifest and its config disagree; ask the image’s publisher' },
    );
  }
  const other = diffIds.find((diffId) => algorithmOf(diffId) !== 'sha256');
  if (other !== undefined) {
    throw new HawserError(
      'NotImplemented',
      `Cannot unpack ${manifest.digest}: its diff ID ${other} is not sha256`,
      {
        hint: 'Its content can be fetched: hawser content fetch REF',
      },
    );
  }
  const chains = chainIds(diffIds, hashers);
  return layers.map((layer, index) => ({
    index,
    layer,
    diffId: at(diffIds, index),
    parent: index === 0 ? '' : at(chains, index - 1),
    chainId: at(chains, index),
  }));
}

/** DataLoss unless the layer expanded to what the config says. */
export function checkDiffId({ diffId }: LayerStep, actual: string): void {
  if (actual === diffId) return;
  throw new HawserError(
    'DataLoss',
    `wrong diff id: the config says ${diffId}, the layer expands to ${actual}`,
    {
      hint: 'The config does not belong to this layer; ask the image’s publisher',
      reason: { type: 'mismatch', expected: diffId, actual },
    },
  );
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new HawserError('Internal', `No item ${index} of ${items.length}`);
  return item;
}
