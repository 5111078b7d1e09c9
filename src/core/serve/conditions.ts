/** Conditional requests and ranges (RFC 9110 sections 13 and 14), for content that its digest names. */

/** Bytes from `start` to `end`, both included. */
export interface Part {
  readonly start: number;
  readonly end: number;
}

type Get = (name: string) => string | null;

/**
 * The part that `Range` asks for of a body of `size` bytes. `whole` where the header is absent, is none of one range of bytes, or belongs
 * to other content (If-Range). `none`: no such bytes (416).
 */
export function partOf(get: Get, digest: string, size: number): Part | 'whole' | 'none' {
  const range = get('range');
  const condition = get('if-range');
  if (range === null || size === 0) return 'whole';
  // If-Range takes a strong ETag; a date cannot hold, as nothing here has one.
  if (condition !== null && condition.trim() !== `"${digest}"`) return 'whole';
  const [, from = '', to = ''] = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(range.trim()) ?? [];
  if (from === '' && to === '') return 'whole';
  if (from === '')
    return Number(to) === 0 ? 'none' : { start: Math.max(0, size - Number(to)), end: size - 1 };
  const start = Number(from);
  const end = to === '' ? size - 1 : Math.min(Number(to), size - 1);
  return start >= size || end < start ? 'none' : { start, end };
}

/** 412 or 304 where a condition says so, else undefined. */
export function conditionOf(get: Get, digest: string): 304 | 412 | undefined {
  const match = get('if-match');
  if (match !== null && !names(match, digest, false)) return 412;
  const none = get('if-none-match');
  return none !== null && names(none, digest, true) ? 304 : undefined;
}

/** Whether a list of ETags has the digest. Docker's clients write digests without quotes. */
function names(list: string, digest: string, weakly: boolean): boolean {
  return list.split(',').some((one) => {
    const tag = one.trim();
    const strong = weakly ? tag.replace(/^W\//, '') : tag;
    return tag === '*' || strong === `"${digest}"` || strong === digest;
  });
}
