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
  readonly steps: { readonly name: 'layers' | 'blobs'; readonly ready: number; readonly count: number };
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
        }
      : {
          name: 'blobs' as const,
          ready: all.filter((row) => row.status === 'done' || isHere(row)).length,
          count: all.length,
        };
  return {
    total: add(wanted.map(({ size }) => size)),
    here: add(wanted.map((row) => (row.status === 'done' ? row.size : row.offset))),
    open: wanted.some(({ status }) => status !== 'done'),
    following: wanted.filter(({ status }) => status === 'following').length,
    steps,
  };
}

/**
 * `12.0 MiB of 48.0 MiB, 3.1 MiB/s, 12 s left; 3 of 60 layers`; in fewer `columns` without words. `rate`: bytes a second, undefined while
 * none can be told. Undefined before anything is known.
 */
export function overallLine(
  state: ProgressState,
  rate: number | undefined,
  columns: number = Number.POSITIVE_INFINITY,
): string | undefined {
  const sums = sumsOf(state);
  if (sums.steps.count === 0) return undefined;
  const forms = [inWords(sums, rate), inShort(sums, rate)];
  return forms.find((form) => form.length <= columns) ?? forms.at(-1);
}

function inWords({ total, here, open, steps }: Sums, rate: number | undefined): string {
  const bytes = [
    ...(total === 0 ? [] : [open ? `${binarySize(here)} of ${binarySize(total)}` : binarySize(total)]),
    ...(open && rate !== undefined ? [`${binarySize(rate)}/s`] : []),
    ...(open && rate !== undefined && rate > 0 ? [`${timeLeft((total - here) / rate)} left`] : []),
  ].join(', ');
  const layers = `${steps.ready} of ${steps.count} ${steps.name}`;
  return bytes === '' ? layers : `${bytes}; ${layers}`;
}

function inShort({ total, here, open, steps }: Sums, rate: number | undefined): string {
  return [
    ...(total === 0 ? [] : [open ? pair(here, total) : binarySize(total)]),
    ...(open && rate !== undefined ? [`${binarySize(rate)}/s`] : []),
    ...(open && rate !== undefined && rate > 0 ? [timeLeft((total - here) / rate).replace(' ', '')] : []),
    `${steps.ready}/${steps.count}`,
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

/** The rate of now out of sums: what came over the last seconds. */
export class RateMeter {
  #samples: { readonly at: number; readonly bytes: number }[] = [];

  /** Bytes a second; undefined for the first half second. `now` in milliseconds, `bytes` so far. */
  rate(now: number, bytes: number): number | undefined {
    this.#samples = [...this.#samples.filter(({ at }) => at > now - SPAN), { at: now, bytes }];
    const [first] = this.#samples;
    if (first === undefined || now - first.at < 500) return undefined;
    return ((bytes - first.bytes) / (now - first.at)) * 1000;
  }
}
