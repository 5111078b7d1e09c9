/** The flags of the commands that unpack layers, and the settings that they stand for. */
import type { LayerLimits, LayerSettings } from '../../core/layers/layer-settings.ts';
import { badValue, type Flag, type Input } from './command.ts';

export const LAYER_LIMIT_FLAGS: readonly Flag[] = [
  {
    name: 'max-layer-size',
    type: 'text',
    value: 'SIZE',
    describe: 'most that a layer may expand to: bytes, or 500M, 64G (default 1T; 0: any size)',
  },
  {
    name: 'max-layer-ratio',
    type: 'count',
    value: 'N',
    describe:
      'most bytes out of one compressed byte, beyond 1 GiB; ten times that for zstd (default 1000; 0: any)',
  },
];

const UNITS = ['', 'K', 'M', 'G', 'T'];

/** A flag that the command does not have counts as not given. */
export function layerSettings(input: Input): LayerSettings {
  return {
    codec: input.text('codec') as LayerSettings['codec'],
    limits: layerLimits(input),
    owner: input.text('owner') as LayerSettings['owner'],
    jobs: input.count('jobs'),
  };
}

/** Only what was given. */
function layerLimits(input: Input): Partial<LayerLimits> {
  const text = input.text('max-layer-size');
  const maxRatio = input.count('max-layer-ratio');
  return {
    ...(text === undefined ? {} : { maxBytes: sizeOf(text) || Number.MAX_SAFE_INTEGER }),
    ...(maxRatio === undefined ? {} : { maxRatio }),
  };
}

/** Base 1024. */
function sizeOf(text: string): number {
  const [, digits, unit = ''] = /^([0-9]{1,15})([KMGT]?)(?:i?B)?$/i.exec(text) ?? [];
  const size = Number(digits) * 1024 ** UNITS.indexOf(unit.toUpperCase());
  if (Number.isSafeInteger(size)) return size;
  throw badValue('max-layer-size', text, 'a size such as 1073741824, 500M or 64G');
}
