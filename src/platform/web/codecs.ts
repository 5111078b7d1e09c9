import { portableCodec } from '../../core/codec/portable.ts';
import { HawserError } from '../../core/errors.ts';
import type { Codecs } from '../../core/ports/codecs.ts';

const lacks = (what: string): HawserError =>
  new HawserError('NotImplemented', `Cannot ${what}: Web APIs have nothing for it`);

/** The portable decoders. DecompressionStream knows no zstd, and takes neither several gzip members nor what follows the last. */
export function webCodecs(): Codecs {
  return {
    compressor: async (format) => {
      throw lacks(`compress by ${format}`);
    },
    get: async (compression, choice = 'auto') => {
      if (choice === 'native') throw lacks(`decompress ${compression} natively`);
      return await portableCodec(compression);
    },
  };
}
