import { HawserError } from '../core/errors.ts';

/** InvalidArgument for an option that is given and names nothing: an empty list would restrict nothing, as if nobody had given the option. */
export function checkRestriction(name: string, given: string | readonly string[] | undefined): void {
  if (given === undefined) return;
  const texts = typeof given === 'string' ? [given] : given;
  if (texts.length > 0 && !texts.includes('')) return;
  const what = texts.length === 0 ? 'an empty list' : 'an empty text';
  throw new HawserError('InvalidArgument', `Cannot use ${name}: ${what} names nothing`, {
    hint: `Name something, or leave ${name} away`,
  });
}
