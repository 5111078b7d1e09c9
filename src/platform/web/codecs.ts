import { portableCodec } from '../../core/codec/portable.ts';
import { findError, HawserError } from '../../core/errors.ts';
import type { Codecs } from '../../core/ports/codecs.ts';

const lacks = (what: string): HawserError =>
  new HawserError('NotImplemented', `Cannot ${what}: Web APIs have nothing for it`);

/** Some edge functions, and pages with a Content-Security-Policy, compile no WebAssembly; gzip has a decoder in JavaScript, too. */
const cannotCompile = (compression: string, cause: unknown): HawserError =>
  new HawserError(
    'NotImplemented',
    `Cannot decompress ${compression}: this runtime compiles no WebAssembly`,
    {
      cause,
    },
  );

/** The portable decoders. DecompressionStream knows no zstd, and takes neither several gzip members nor what follows the last. */
export function webCodecs(): Codecs {
  return {
    compressor: async (format) => {
      throw lacks(`compress by ${format}`);
    },
    get: async (compression, choice = 'auto') => {
      if (choice === 'native') throw lacks(`decompress ${compression} natively`);
      try {
        return await portableCodec(compression);
      } catch (err) {
        throw findError(err) ?? cannotCompile(compression, err);
      }
    },
  };
}
