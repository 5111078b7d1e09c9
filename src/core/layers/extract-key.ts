/**
 * The key of a snapshot being extracted, as containerd makes it: `extract-<nanosecond of second>-<4 base64url> <chain ID>`.
 * `now` in milliseconds; what milliseconds do not tell of the nanoseconds is random.
 */
export function extractKey(chainId: string, now: number): string {
  const random = crypto.getRandomValues(new Uint8Array(6));
  const nanos =
    (Math.floor(now) % 1000) * 1_000_000 +
    ((((random[3] ?? 0) << 12) | ((random[4] ?? 0) << 4) | ((random[5] ?? 0) >> 4)) % 1_000_000);
  const suffix = btoa(String.fromCharCode(random[0] ?? 0, random[1] ?? 0, random[2] ?? 0))
    .replaceAll('+', '-')
    .replaceAll('/', '_');
  return `extract-${nanos}-${suffix} ${chainId}`;
}

/** The chain ID of the layer that the snapshot of this key is to take. */
export function chainOfKey(key: string): string {
  return key.slice(key.indexOf(' ') + 1);
}

/** Whether a layer is to be applied to the snapshot of this key. */
export function isExtractKey(key: string): boolean {
  return key.startsWith('extract-');
}
