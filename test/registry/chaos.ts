/** Faults by chance, from a seed: for tests and the command line. */
import type { Fault } from './faults.ts';

/** From 0 to 1, the same for the same seed (a 32-bit xorshift). */
export function seeded(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

export interface Chaos {
  /** Bytes of the largest body: where cuts and damage may strike. */
  readonly size: number;
  /** Faults at once. Default 4. */
  readonly count?: number;
  /** Each strikes once or twice and is then gone; else most never go. */
  readonly heal: boolean;
}

/** `place` gives a place in the body. */
type Maker = (place: () => number, size: number) => Fault;

/** What an honest server or the way to it may do: a client that tries again gets everything. */
const PASSING: readonly Maker[] = [
  () => ({ status: 500 }),
  () => ({ status: 502 }),
  () => ({ status: 503, retryAfter: 0 }),
  () => ({ status: 429, retryAfter: 0 }),
  () => ({ reset: true }),
  (place) => ({ match: '/blobs/', method: 'GET', cutAfter: place() }),
  (place) => ({ match: '/blobs/', method: 'GET', cutAfter: place(), reset: true }),
  // Not at once: a client goes on as long as it gains anything, and each time it waits for what does not come.
  (place, size) => ({ match: '/blobs/', method: 'GET', stall: Math.max(place(), size >> 3) }),
  (place) => ({ match: '/blobs/', method: 'GET', noContentLength: true, cutAfter: place() }),
  (place) => ({ delay: place() % 50 }),
];

/** Lies: about the bytes, or about which ones they are. */
const LIES: readonly Maker[] = [
  (place) => ({ match: '/blobs/', method: 'GET', corrupt: place() }),
  (place) => ({ match: '/blobs/', method: 'GET', short: place() }),
  () => ({ match: '/blobs/', method: 'GET', overlong: 10 }),
  () => ({ match: '/blobs/', method: 'GET', changed: true }),
  () => ({ match: '/blobs/', method: 'GET', contentEncoding: 'gzip, zstd' }),
  () => ({ match: '/blobs/', method: 'GET', ignoreRange: true }),
  () => ({ match: '/blobs/', method: 'GET', wrongRange: 'bytes 7-8/9' }),
  () => ({ match: '/blobs/', method: 'GET', shiftRange: 1 }),
  () => ({ match: '/blobs/', method: 'GET', multipart: true }),
  () => ({ match: '/manifests/', method: 'GET', corrupt: 1 }),
  () => ({ noDigestHeader: true }),
  () => ({ status: 404 }),
];

/** `random` as by `seeded`. With `heal` only faults of the passing kind. */
export function randomFaults(random: () => number, { size, count = 4, heal }: Chaos): Fault[] {
  const place = (): number => Math.floor(random() * size);
  const makers = heal ? PASSING : [...PASSING, ...LIES];
  return Array.from({ length: count }, () => {
    const make = makers[Math.floor(random() * makers.length)] ?? (() => ({}));
    const skip = Math.floor(random() * 6);
    const times = heal || random() < 0.5 ? { times: 1 + Math.floor(random() * 2) } : {};
    return { ...make(place, size), skip, ...times };
  });
}
