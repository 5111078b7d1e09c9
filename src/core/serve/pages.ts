import type { Paging } from './route.ts';

/** The most entries of a page. */
const MAX_PAGE = 10_000;

export interface Page<T> {
  readonly entries: readonly T[];
  /** Where the next page begins; undefined: this one is the last. */
  readonly next?: string | undefined;
}

/** A page of what is sorted by `keyOf`. `last` need not be there. `sizeOf` and `limit`: bytes of a page; one entry is taken whatever its size. */
export function pageOf<T>(
  sorted: readonly T[],
  { n = MAX_PAGE, last }: Paging,
  keyOf: (entry: T) => string,
  bytes?: { readonly sizeOf: (entry: T) => number; readonly limit: number },
): Page<T> {
  const rest = last === undefined ? sorted : sorted.filter((entry) => keyOf(entry) > last);
  const entries: T[] = [];
  let size = 0;
  for (const entry of rest.slice(0, Math.min(n, MAX_PAGE))) {
    size += bytes?.sizeOf(entry) ?? 0;
    if (entries.length > 0 && bytes !== undefined && size > bytes.limit) break;
    entries.push(entry);
  }
  const end = entries.at(-1);
  return end !== undefined && entries.length < rest.length ? { entries, next: keyOf(end) } : { entries };
}

/** The header that leads to the next page (RFC 8288); `path`: of this one, without query. */
export function linkTo(
  path: string,
  next: string | undefined,
  params: Readonly<Record<string, string | number | undefined>>,
): Readonly<Record<string, string>> {
  if (next === undefined) return {};
  const given = Object.entries({ ...params, last: next }).filter(([, value]) => value !== undefined);
  const query = new URLSearchParams(given.map(([key, value]) => [key, String(value)]));
  return { link: `<${path}?${query}>; rel="next"` };
}
