import type { Output } from '../../core/ports/host.ts';
import { frame, visibleWidth } from './frame.ts';
import { RateMeter } from './overall.ts';
import { fetchedBytes, type ProgressState } from './progress-state.ts';

const ERASE_TO_LINE_END = '\u001b[K';
const ERASE_BELOW = '\u001b[J';
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
    const now = this.#meter.rate(elapsed, fetchedBytes(state));
    const { isEarly: early } = this.#meter;
    const rate = state.ended ? undefined : now;
    const lines = frame(state, { elapsed, columns, lines: height, rate, early, colour: this.#colour });
    // Written over the old lines: erased ones would flicker. At the end of a full line the cursor stands on its last character.
    const rest = (line: string) => (visibleWidth(line) === columns ? '' : ERASE_TO_LINE_END);
    const text = lines.map((line) => `${line}${rest(line)}\n`).join('');
    const back = this.#back(columns);
    this.#drawn = lines;
    await this.#output.write(`${back}${text}${ERASE_BELOW}`);
  }

  /** To the first line. Counts rows by the width of now: in a terminal that became narrower an old line takes several. */
  #back(columns: number | undefined): string {
    const rows = this.#drawn.reduce(
      (sum, line) => sum + (columns === undefined ? 1 : Math.max(1, Math.ceil(visibleWidth(line) / columns))),
      0,
    );
    return rows === 0 ? '' : `\u001b[${rows}A\r`;
  }
}
