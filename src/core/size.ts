import { HawserError } from './errors.ts';

const UNITS = ['', 'K', 'M', 'G', 'T'];

/** `500k`, `1.5M`, `10MiB`, `100`: bytes. Units are powers of 1024, as in curl and wget. InvalidArgument. */
export function parseSize(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,15}(?:\.\d{1,6})?)\s*([KMGT]?)(?:i?B)?$/i.exec(text) ?? [];
  const size = Math.floor(Number(digits) * 1024 ** UNITS.indexOf(unit.toUpperCase()));
  if (Number.isSafeInteger(size)) return size;
  throw new HawserError('InvalidArgument', `invalid size "${text}"`, {
    hint: 'A size looks like 1048576, 500k, 1.5M or 64G',
  });
}
