/** How a stream that cannot be decompressed is reported. */
import { HawserError } from '../errors.ts';

/** Empty members or frames cost time and give nothing, so their number is limited. */
export function tooMany(format: string, limit: number): HawserError {
  return new HawserError(
    'ResourceExhausted',
    `Cannot decompress ${format} data: it has more than ${limit} members or frames`,
  );
}

/** A stream that is not what its format says. */
export function corrupt(format: string, what: string, cause?: unknown): HawserError {
  return new HawserError('DataLoss', `Cannot decompress ${format} data: ${what}`, {
    cause,
    reason: { type: 'malformed' },
  });
}
