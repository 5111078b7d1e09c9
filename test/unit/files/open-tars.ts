/** The files of an image whose layers are archives at hand. */
import { createHash } from 'node:crypto';
import { streamOf } from '../../../src/core/async/byte-stream.ts';
import { ImageFiles } from '../../../src/core/files/image-files.ts';
import { LayerReader, type LayerSource } from '../../../src/core/files/layer-reader.ts';
import type { LayerSettings } from '../../../src/core/layers/layer-settings.ts';
import type { LayerStep } from '../../../src/core/layers/layer-steps.ts';
import { type Digest, parseDigest } from '../../../src/core/oci/digest.ts';
import { createHashers } from '../../../src/platform/codecs/hashers.ts';
import { createCodecs } from '../../../src/platform/codecs/native-codecs.ts';
import { fakeClock } from '../../registry/client.ts';

export interface OpenTars {
  readonly files: ImageFiles;
  /** The layers that were read, by index, in order. */
  readonly read: number[];
}

export function digestOf(bytes: Uint8Array): Digest {
  return parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
}

/** `blobs`: what is sent in the place of a layer. `maxBytes`: of memory for a tree. */
export function openTars(
  tars: readonly Uint8Array[],
  {
    settings = {},
    blobs = tars,
    maxBytes,
  }: { settings?: LayerSettings; blobs?: readonly Uint8Array[]; maxBytes?: number } = {},
): OpenTars {
  const read: number[] = [];
  const steps = tars.map((tar, index): LayerStep => {
    const digest = digestOf(tar);
    const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: tar.length };
    return { index, layer, diffId: digest, parent: '', chainId: digest };
  });
  const source: LayerSource = {
    open: async ({ digest }) => {
      const index = steps.findIndex((step) => step.layer.digest === digest);
      read.push(index);
      return streamOf((blobs[index] ?? new Uint8Array(0)).slice());
    },
  };
  const deps = { codecs: createCodecs(), hashers: createHashers(), clock: fakeClock() };
  return { files: new ImageFiles(new LayerReader(deps, source, settings), steps, maxBytes), read };
}
