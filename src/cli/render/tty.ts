import type { Output } from '../../core/ports/host.ts';
import { frame, visibleWidth } from './frame.ts';
import { RateMeter } from './overall.ts';
import { fetchedBytes, type ProgressState } from './progress-state.ts';

const ERASE_LINE_ABOVE = '\u001b[1A\u001b[2K\r';
/** Of a terminal that does not tell its height. */
const USUAL_LINES = 24;

/** Redraws a frame in place. */
export class TtyScreen {
  readonly #output: Output;
  readonly #colour: boolean;
  readonly #meter = new RateMeter();
  #drawn: readonly string[] = [];

  constructor(output: Output, colour: boolean) {
    this.#output = output;
    this.#colour = colour;
  }

  /** `elapsed` in milliseconds. */
  async draw(state: ProgressState, elapsed: number): Promise<void> {
    if (state.name === '' && state.images === undefined) return;
    const columns = this.#output.columns();
    // The cursor stands below the last line, and what has left the screen cannot be redrawn.
    const height = (this.#output.rows?.() ?? USUAL_LINES) - 1;
    const rate = this.#meter.rate(elapsed, fetchedBytes(state));
    const lines = frame(state, { elapsed, columns, lines: height, rate, colour: this.#colour });
    const text = `${this.#erase(columns)}${lines.map((line) => `${line}\n`).join('')}`;
    this.#drawn = lines;
    await this.#output.write(text);
  }

  /** Counts rows by the width of now: in a terminal that became narrower an old line takes several. */
  #erase(columns: number | undefined): string {
    const rows = this.#drawn.reduce(
      (sum, line) => sum + (columns === undefined ? 1 : Math.max(1, Math.ceil(visibleWidth(line) / columns))),
      0,
    );
    return ERASE_LINE_ABOVE.repeat(rows);
  }
}
