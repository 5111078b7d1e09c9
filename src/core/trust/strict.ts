/** Strict reading of policies: every member is known and of its type. InvalidArgument, naming the place. */
import { HawserError } from '../errors.ts';
import { decodeBase64 } from '../oci/base64.ts';

export type Members = { readonly [key: string]: unknown };

export function wrongPolicy(where: string, why: string): HawserError {
  return new HawserError('InvalidArgument', `Cannot use ${where}: ${why}`, {
    hint: 'containers-policy.json(5) describes the file; unknown members are not passed over, as a policy that says less than was meant protects nobody',
  });
}

export function asMap(value: unknown, where: string): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrongPolicy(where, 'must be an object');
  return value as Members;
}

export function asList(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrongPolicy(where, 'must be a list');
  return value;
}

export function asText(value: unknown, where: string): string {
  if (typeof value !== 'string' || value === '') throw wrongPolicy(where, 'must be a text that is not empty');
  return value;
}

export function asBytes(value: unknown, where: string): Uint8Array {
  const bytes = decodeBase64(asText(value, where));
  if (bytes === undefined || bytes.length === 0) throw wrongPolicy(where, 'must be base64');
  return bytes;
}

/** At least one. */
export function asTexts(value: unknown, where: string): readonly string[] {
  const list = asList(value, where);
  if (list.length === 0) throw wrongPolicy(where, 'an empty list');
  return list.map((one, at) => asText(one, `${where}[${at}]`));
}

/** The members of an object that has all of `needed`, and besides only some of `allowed`. */
export function membersOf(
  value: unknown,
  where: string,
  needed: readonly string[],
  allowed: readonly string[] = [],
): Members {
  const members = asMap(value, where);
  for (const key of Object.keys(members)) {
    if (!needed.includes(key) && !allowed.includes(key)) throw wrongPolicy(where, `unknown member "${key}"`);
  }
  for (const key of needed) if (!(key in members)) throw wrongPolicy(where, `no "${key}"`);
  return members;
}

/** The one of these members that an object has. */
export function exactlyOne(members: Members, where: string, keys: readonly string[]): string {
  const found = keys.filter((key) => key in members);
  const [first] = found;
  if (first === undefined || found.length > 1)
    throw wrongPolicy(where, `must have exactly one of ${keys.join(', ')}`);
  return first;
}
