let tables: Uint32Array[] | undefined;

/** Tables for four bytes at a time (slicing-by-4). */
function make(): Uint32Array[] {
  const first = new Uint32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    first[n] = c;
  }
  const made = [first];
  for (let t = 1; t < 4; t++) {
    const before = made[t - 1] ?? first;
    made.push(before.map((c) => (c >>> 8) ^ (first[c & 0xff] ?? 0)));
  }
  return made;
}

/** CRC-32 as gzip has it (RFC 1952 section 8), continued from `crc`. */
export function crc32(bytes: Uint8Array, crc = 0): number {
  tables ??= make();
  const [t0, t1, t2, t3] = tables as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  let c = ~crc;
  let at = 0;
  const whole = bytes.length - (bytes.length % 4);
  const b = bytes as { readonly length: number; readonly [index: number]: number };
  for (; at < whole; at += 4) {
    c ^= word(b, at);
    c =
      (t3[c & 0xff] as number) ^
      (t2[(c >>> 8) & 0xff] as number) ^
      (t1[(c >>> 16) & 0xff] as number) ^
      (t0[c >>> 24] as number);
  }
  for (; at < bytes.length; at++) c = (t0[(c ^ (b[at] as number)) & 0xff] as number) ^ (c >>> 8);
  return ~c >>> 0;
}

function word(b: { readonly [index: number]: number }, at: number): number {
  return (
    (b[at] as number) |
    ((b[at + 1] as number) << 8) |
    ((b[at + 2] as number) << 16) |
    ((b[at + 3] as number) << 24)
  );
}
