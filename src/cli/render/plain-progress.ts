/** Progress for logs: a line now and then about what goes on, so that a slow transfer does not look like a stuck one. */
import { sumsOf, timeLeft } from './overall.ts';
import { fetchedBytes, type ProgressState } from './progress-state.ts';
import { safe } from './text.ts';
import { binarySize } from './units.ts';

/** Milliseconds between two lines; the last one repeats. */
const PAUSES: readonly number[] = [2000, 3000, 5000, 10_000, 20_000, 30_000, 60_000];

export class PlainProgress {
  #lines = 0;
  #last: { readonly at: number; readonly bytes: number };

  /** `now` in milliseconds. */
  constructor(now: number) {
    this.#last = { at: now, bytes: 0 };
  }

  /** Milliseconds until the next line. */
  pause(): number {
    const pause = PAUSES[Math.min(this.#lines, PAUSES.length - 1)] ?? 0;
    this.#lines++;
    return pause;
  }

  /** The line about now. The speed is that since the line before. */
  line(state: ProgressState, now: number): string {
    const bytes = fetchedBytes(state);
    const { at } = this.#last;
    const rate = now > at ? ((bytes - this.#last.bytes) / (now - at)) * 1000 : 0;
    this.#last = { at: now, bytes };
    return progressLine(state, rate, now - at);
  }
}

/** `rate`: bytes a second over the last `span` milliseconds. */
export function progressLine(state: ProgressState, rate: number, span: number): string {
  // Without a name the image is in the store already.
  if (state.images === undefined && state.root === undefined && state.name !== '')
    return `resolving ${safe(state.name)}`;
  const parts = [...images(state), ...downloads(state, rate, span), ...unpacking(state)];
  if (parts.length > 0) return parts.join('; ');
  if (state.sends) return 'asking what the registry has';
  return state.syncing ? 'making the data durable' : 'checking what is in the store';
}

function images({ images }: ProgressState): string[] {
  if (images === undefined) return [];
  const failed = images.failed > 0 ? ` (${images.failed} failed)` : '';
  return [`${images.done + images.failed} of ${images.count} images${failed}`];
}

function downloads(state: ProgressState, rate: number, span: number): string[] {
  const { total, here, open, following } = sumsOf(state);
  if (!open) return [];
  const speed =
    rate > 0
      ? `${binarySize(rate)}/s, ${timeLeft((total - here) / rate)} left`
      : `nothing for ${Math.round(span / 1000)} s`;
  const others = following > 0 ? ` (${following} fetched by another process)` : '';
  return [
    `${state.sends ? 'uploading' : 'downloading'}: ${binarySize(here)} of ${binarySize(total)}${others}, ${speed}`,
  ];
}

function unpacking(state: ProgressState): string[] {
  const open = state.unpacks.filter((row) => row.chainId === undefined && row.count > 0);
  return open.map((row) => `unpacking ${safe(row.platform)}: ${row.ready.size} of ${row.count} layers`);
}
