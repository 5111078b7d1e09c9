/** `Content-Range: bytes <start>-<end>/<total or *>` (RFC 9110 14.4). Numbers up to 15 digits are exact. */
export interface ContentRange {
  readonly start: number;
  /** The last byte's. */
  readonly end: number;
  readonly total: number | undefined;
}

export function parseContentRange(field: string | undefined): ContentRange | undefined {
  const found = /^bytes (\d{1,15})-(\d{1,15})\/(?:(\d{1,15})|\*)$/i.exec(field?.trim() ?? '');
  if (found === null) return undefined;
  const [start, end] = [Number(found[1]), Number(found[2])];
  const total = found[3] === undefined ? undefined : Number(found[3]);
  if (end < start || (total !== undefined && end >= total)) return undefined;
  return { start, end, total };
}
