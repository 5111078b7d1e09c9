/** All of a transfer in numbers: bytes, rate, time left, layers. */
import { isHere, type ProgressState } from './progress-state.ts';
import { binarySize } from './units.ts';

export interface Sums {
  /** Bytes of what has to come, or to go; and those of them that have. */
  readonly total: number;
  readonly here: number;
  /** Whether something of it is still to come. */
  readonly open: boolean;
  /** Blobs that another process fetches. */
  readonly following: number;
  /** Layers of all that is unpacked; without unpacking blobs. */
  readonly steps: {
    readonly name: 'layers' | 'blobs';
    readonly ready: number;
    readonly count: number;
    /** Of images that are not known yet there will be more. */
    readonly more: boolean;
  };
}

export function sumsOf(state: ProgressState): Sums {
  const all = [...state.blobs.values()];
  const wanted = all.filter((row) => !isHere(row));
  const add = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
  const unpacked = state.unpacks.filter(({ count }) => count > 0);
  const steps =
    unpacked.length > 0
      ? {
          name: 'layers' as const,
          ready: add(unpacked.map(({ ready }) => ready.size)),
          count: add(unpacked.map(({ count }) => count)),
          more: hasMore(state),
        }
      : {
          name: 'blobs' as const,
          ready: all.filter((row) => row.status === 'done' || isHere(row)).length,
          count: all.length,
          more: hasMore(state),
        };
  return {
    total: add(wanted.map(({ size }) => size)),
    here: add(wanted.map((row) => (row.status === 'done' ? row.size : row.offset))),
    open: wanted.some(({ status }) => status !== 'done'),
    following: wanted.filter(({ status }) => status === 'following').length,
    steps,
  };
}

/** Whether images are still to come whose layers, or blobs, nobody has counted. */
function hasMore({ images, unpacks, ended }: ProgressState): boolean {
  if (images === undefined || ended) return false;
  const counted = new Set(unpacks.flatMap(({ image, count }) => (count > 0 ? [image] : [])));
  const open = [...images.open].filter((image) => counted.size === 0 || counted.has(image));
  return images.done + images.failed + open.length < images.count;
}

export interface OverallOptions {
  /** Bytes a second; undefined while none can be told. */
  readonly rate?: number | undefined;
  /** The rate is measured over too short a time to tell from it how long the rest takes. */
  readonly early?: boolean;
  readonly columns?: number | undefined;
}

/**
 * `12.0 MiB of 48.0 MiB, 3.1 MiB/s, 12 s left; 3 of 60 layers`; in fewer `columns` without words. Undefined before anything is known.
 */
export function overallLine(state: ProgressState, opts: OverallOptions): string | undefined {
  const sums = sumsOf(state);
  if (sums.steps.count === 0) return undefined;
  const forms = [inWords(sums, opts), inShort(sums, opts)];
  return forms.find((form) => form.length <= (opts.columns ?? Number.POSITIVE_INFINITY)) ?? forms.at(-1);
}

function inWords({ total, here, open, steps }: Sums, { rate, early = false }: OverallOptions): string {
  const bytes = [
    ...(total === 0 ? [] : [open ? `${binarySize(here)} of ${binarySize(total)}` : binarySize(total)]),
    ...(open && rate !== undefined ? [`${binarySize(rate)}/s`] : []),
    ...(open && rate !== undefined && rate > 0 && !early ? [`${timeLeft((total - here) / rate)} left`] : []),
  ].join(', ');
  const layers = `${steps.ready} of ${steps.count}${steps.more ? '+' : ''} ${steps.name}`;
  return bytes === '' ? layers : `${bytes}; ${layers}`;
}

function inShort({ total, here, open, steps }: Sums, { rate, early = false }: OverallOptions): string {
  return [
    ...(total === 0 ? [] : [open ? pair(here, total) : binarySize(total)]),
    ...(open && rate !== undefined ? [`${binarySize(rate)}/s`] : []),
    ...(open && rate !== undefined && rate > 0 && !early
      ? [timeLeft((total - here) / rate).replace(' ', '')]
      : []),
    `${steps.ready}/${steps.count}${steps.more ? '+' : ''}`,
  ].join(' ');
}

/** `12.0/48.0 MiB`; with both units where they differ. */
function pair(here: number, total: number): string {
  const [part, whole] = [binarySize(here), binarySize(total)];
  const [value = '', unit] = part.split(' ');
  return whole.endsWith(` ${unit}`) ? `${value}/${whole}` : `${part}/${whole}`;
}

/** `4 s`, `3 min`, `2 h`. */
export function timeLeft(seconds: number): string {
  if (seconds < 100) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** Milliseconds over which the rate of now is measured. */
const SPAN = 5000;
/** Before that no rate is told, and no time left: a connection begins slowly. */
const FIRST_RATE = 500;
const FIRST_TIME_LEFT = 2000;

/** The rate of now out of sums: what came over the last seconds. */
export class RateMeter {
  #samples: { readonly at: number; readonly bytes: number }[] = [];
  /** Whether the last rate tells too little of how long the rest takes. */
  isEarly = true;

  /** Bytes a second; undefined for the first half second. `now` in milliseconds, `bytes` so far. */
  rate(now: number, bytes: number): number | undefined {
    this.#samples = [...this.#samples.filter(({ at }) => at > now - SPAN), { at: now, bytes }];
    const [first] = this.#samples;
    const span = first === undefined ? 0 : now - first.at;
    this.isEarly = span < FIRST_TIME_LEFT;
    if (first === undefined || span < FIRST_RATE) return undefined;
    return ((bytes - first.bytes) / span) * 1000;
  }
}
