/** The flags of all commands that unpack layers, and the settings that they stand for. */
import type { LayerSettings } from '../../core/layers/layer-settings.ts';
import type { CodecChoice } from '../../core/ports/codecs.ts';
import { type Choice, type Count, choice, count, type NamesOf, type Size, size } from './flag.ts';
import type { Input } from './input.ts';

export const CODEC: Choice<'codec', CodecChoice> = choice({
  name: 'codec',
  choices: ['auto', 'native', 'portable'],
  describe: "decompressors: this executable's or the runtime's own, or our portable ones",
});
const MAX_LAYER_SIZE: Size<'max-layer-size'> = size({
  name: 'max-layer-size',
  value: 'SIZE',
  describe: 'most that a layer may expand to: bytes, or 500M, 64G (default 1T; 0: any size)',
});
const MAX_LAYER_RATIO: Count<'max-layer-ratio'> = count({
  name: 'max-layer-ratio',
  value: 'N',
  describe:
    'most bytes out of one compressed byte, for a layer and for an image, beyond 1 GiB; ten times that for zstd (default 1000; 0: any)',
});
const MAX_IMAGE_SIZE: Size<'max-image-size'> = size({
  name: 'max-image-size',
  value: 'SIZE',
  describe: 'most that all layers of an image may expand to together (default 1T; 0: any size)',
});

export const LAYER_FLAGS: readonly [
  typeof CODEC,
  typeof MAX_LAYER_SIZE,
  typeof MAX_LAYER_RATIO,
  typeof MAX_IMAGE_SIZE,
] = [CODEC, MAX_LAYER_SIZE, MAX_LAYER_RATIO, MAX_IMAGE_SIZE];
export type LayerFlag = NamesOf<typeof LAYER_FLAGS>;

/** Only the limits that were given. What some commands have besides (--jobs, --owner) is added there. */
export function layerSettings(input: Input<LayerFlag>): LayerSettings {
  const maxBytes = input.get(MAX_LAYER_SIZE);
  const maxRatio = input.get(MAX_LAYER_RATIO);
  const maxImageBytes = input.get(MAX_IMAGE_SIZE);
  return {
    codec: input.get(CODEC),
    limits: {
      ...(maxBytes === undefined ? {} : { maxBytes: maxBytes || Number.MAX_SAFE_INTEGER }),
      ...(maxRatio === undefined ? {} : { maxRatio }),
      ...(maxImageBytes === undefined ? {} : { maxImageBytes: maxImageBytes || Number.MAX_SAFE_INTEGER }),
    },
  };
}
