const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const NANOSECONDS_PER_MS = 1e6;

/**
 * A lease id as containerd's leases.WithRandomID makes it: the nanosecond within the second, `-`, and three random
 * bytes in base64url. `now` is in milliseconds since the epoch; what a millisecond clock lacks comes from `random`.
 */
export function randomLeaseId(now: number, random: (length: number) => Uint8Array): string {
  const bytes = random(6);
  const byte = (i: number): number => bytes[i] ?? 0;
  const fraction = ((byte(3) << 16) | (byte(4) << 8) | byte(5)) % NANOSECONDS_PER_MS;
  const nanosecond = (Math.floor(now) % 1000) * NANOSECONDS_PER_MS + fraction;
  const bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
  let suffix = '';
  for (const shift of [18, 12, 6, 0]) suffix += ALPHABET[(bits >> shift) & 63] ?? '';
  return `${nanosecond}-${suffix}`;
}
