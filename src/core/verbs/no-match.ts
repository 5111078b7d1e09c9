import { HawserError } from '../errors.ts';
import { availableHint } from '../images/select.ts';
import type { Platform } from '../oci/descriptor.ts';
import { platformText } from '../platforms/format.ts';
import type { Reference } from '../reference/reference.ts';

/** `available`: the platforms that the image has. */
export function noMatch(
  reference: Reference,
  missing: readonly Platform[],
  available: readonly string[],
): HawserError {
  const names = missing.map(platformText).join(', ');
  return new HawserError(
    'NotFound',
    `Cannot choose from "${reference.raw}": no match for platform ${names}`,
    { hint: availableHint(available) },
  );
}
