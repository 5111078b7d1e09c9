import { visible } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import type { Json, JsonObject } from './json.ts';

/**
 * Typed reading of documents from others. `where` names the document and the path in it: `manifest sha256:…:` for the
 * document itself, `manifest sha256:…: layers[2]` below. Null is absent, because Go writes empty slices and maps so. A
 * value of another type is InvalidArgument, naming the field.
 */
export function at(where: string, key: string): string {
  return where.endsWith(':') ? `${where} ${key}` : `${where}.${key}`;
}

export function misfit(where: string, why: string): HawserError {
  return new HawserError('InvalidArgument', `Cannot use ${where.replace(/:$/, '')}: ${why}`);
}

export function asObject(value: Json | undefined, where: string): JsonObject {
  if (typeof value !== 'object' || value === null || isArray(value)) throw misfit(where, 'must be an object');
  return value;
}

/** Array.isArray does not narrow readonly arrays. */
function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

export function objectField(from: JsonObject, key: string, where: string): JsonObject | undefined {
  const value = from[key] ?? undefined;
  return value === undefined ? undefined : asObject(value, at(where, key));
}

/** At most `limit` elements, read by `each`. */
export function arrayField<T>(
  from: JsonObject,
  key: string,
  where: string,
  limit: number,
  each: (value: Json, where: string) => T,
): T[] | undefined {
  const value = from[key] ?? undefined;
  if (value === undefined) return undefined;
  const path = at(where, key);
  if (!isArray(value)) throw misfit(path, 'must be an array');
  if (value.length > limit) throw misfit(path, `has ${value.length} entries, more than ${limit}`);
  return value.map((item, i) => each(item, `${path}[${i}]`));
}

export function asString(value: Json | undefined, where: string): string {
  if (typeof value !== 'string') throw misfit(where, 'must be a string');
  return value;
}

export function stringField(from: JsonObject, key: string, where: string): string | undefined {
  const value = from[key] ?? undefined;
  return value === undefined ? undefined : asString(value, at(where, key));
}

/** A short word for headers and terminals: printable ASCII, at most 255 characters. Empty is absent. */
export function wordField(from: JsonObject, key: string, where: string): string | undefined {
  const value = stringField(from, key, where);
  if (value === undefined || value === '') return undefined;
  if (value.length > 255 || !/^[\x20-\x7e]*$/.test(value)) {
    throw misfit(at(where, key), 'must be printable ASCII of at most 255 characters');
  }
  return value;
}

/** A map of strings to strings, without a prototype. */
export function stringMapField(
  from: JsonObject,
  key: string,
  where: string,
): Readonly<Record<string, string>> | undefined {
  const map = objectField(from, key, where);
  if (map === undefined) return undefined;
  const out: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(map)) {
    out[name] = asString(value, `${at(where, key)}[${visible(JSON.stringify(name.slice(0, 80)))}]`);
  }
  return out;
}

/** Leaves out the members that are undefined. */
export function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}
