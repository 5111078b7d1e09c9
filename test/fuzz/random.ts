/** Random choices for fuzz targets; everything follows from the seed. */

/** `next(n)` is an integer from 0 to n-1. */
export type Next = (n: number) => number;

/** mulberry32 over a seed that is stirred first, for executions have seeds that follow one another. */
export function seeded(seed: number): Next {
  let state = Math.imul(seed ^ (seed >>> 16), 0x45d9f3b) >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  };
}

export function pick<T>(next: Next, list: readonly T[]): T {
  return list[next(list.length)] as T;
}

/** True in one of `n` cases. */
export function rarely(next: Next, n: number): boolean {
  return next(n) === 0;
}

export function many<T>(next: Next, max: number, make: (i: number) => T): T[] {
  return Array.from({ length: next(max + 1) }, (_, i) => make(i));
}

export function randomBytes(next: Next, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i++) out[i] = next(256);
  return out;
}

/** Small lengths mostly, and those around `edge`. */
export function randomLength(next: Next, edge: number): number {
  return pick(next, [0, 1, next(20), next(edge), edge - 1, edge, edge + 1, 2 * edge + next(3)]);
}

/** Numbers at which parsers go wrong. */
export const ODD_NUMBERS: readonly string[] = [
  '0',
  '-0',
  '-1',
  '1',
  '4294967294',
  '4294967295',
  '4294967296',
  '2147483648',
  '-2147483649',
  '9007199254740991',
  '9007199254740992',
  '18446744073709551616',
  '1e9',
  '0x10',
  '1.5',
  'NaN',
  'Infinity',
  '',
  ' 1',
  '00000000000000000001',
  '1'.repeat(400),
];

/** Some of the bytes changed, doubled, dropped or cut off, up to `times` times. */
export function mutate(next: Next, input: Uint8Array, times: number): Uint8Array {
  let bytes = input;
  for (let i = 1 + next(times); i > 0; i--) bytes = mutateOnce(next, bytes);
  return bytes;
}

function mutateOnce(next: Next, input: Uint8Array): Uint8Array {
  const at = next(input.length + 1);
  const length = Math.min(input.length - at, 1 + next(pick(next, [2, 16, 600])));
  const out = new Uint8Array(input);
  switch (next(6)) {
    case 0:
      if (at < out.length) out[at] = (out[at] ?? 0) ^ (1 << next(8));
      return out;
    case 1:
      for (let i = at; i < at + length; i++) out[i] = next(256);
      return out;
    case 2:
      return splice(input, at, length, new Uint8Array(0));
    case 3:
      return splice(input, at, 0, input.subarray(at, at + length));
    case 4:
      return splice(input, at, 0, randomBytes(next, length));
    default:
      return input.slice(0, at);
  }
}

function splice(input: Uint8Array, at: number, drop: number, add: Uint8Array): Uint8Array {
  const out = new Uint8Array(input.length - drop + add.length);
  out.set(input.subarray(0, at));
  out.set(add, at);
  out.set(input.subarray(at + drop), at + add.length);
  return out;
}
