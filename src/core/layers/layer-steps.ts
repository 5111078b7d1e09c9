/** What unpacking an image means, decided before anything is touched. Pure. */
import { HawserError } from '../errors.ts';
import { chainIds } from '../oci/chain-id.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest } from '../oci/digest.ts';
import { isLayerType } from '../oci/media-types.ts';
import type { Hashers } from '../ports/hashers.ts';

export interface LayerStep {
  readonly index: number;
  readonly layer: Descriptor;
  readonly diffId: Digest;
  /** '' for the first. */
  readonly parent: string;
  readonly chainId: Digest;
}

/**
 * Pairs layers with diff IDs (image-spec config.md, `rootfs`). Only layer media types count, as in containerd 2.x. A
 * different number of each: InvalidArgument. Diff IDs of another algorithm than sha256: NotImplemented.
 */
export function planUnpack(
  manifest: Descriptor,
  children: readonly Descriptor[],
  diffIds: readonly Digest[],
  hashers: Hashers,
): LayerStep[] {
  const layers = children.slice(1).filter((child) => isLayerType(child.mediaType));
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
