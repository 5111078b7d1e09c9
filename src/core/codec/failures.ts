/**
 * How a stream that cannot be decompressed is reported. Damaged bytes could be the cause of each of these, so all have the
 * reason `malformed`.
 */
import { HawserError, type Kind, type Reason } from '../errors.ts';

const MALFORMED: Reason = { type: 'malformed' };

/** A stream that is not what its format says. */
export function corrupt(format: string, what: string, cause?: unknown): HawserError {
  return failure('DataLoss', format, what, { cause });
}

/** A stream that the format allows and we do not: too large, or with something that we lack. */
export function refused(
  kind: Extract<Kind, 'ResourceExhausted' | 'NotImplemented'>,
  format: string,
  what: string,
  hint?: string,
): HawserError {
  return failure(kind, format, what, { hint });
}

/** Empty members or frames cost time and give nothing, so their number is limited. */
export function tooMany(format: string, limit: number): HawserError {
  return refused('ResourceExhausted', format, `it has more than ${limit} members or frames`);
}

function failure(
  kind: Kind,
  format: string,
  what: string,
  detail: { cause?: unknown; hint?: string | undefined },
): HawserError {
  return new HawserError(kind, `Cannot decompress ${format} data: ${what}`, { ...detail, reason: MALFORMED });
}
