import type { Output } from '../../core/ports/host.ts';
import { frame, visibleWidth } from './frame.ts';
import type { ProgressState } from './progress-state.ts';

const ERASE_LINE_ABOVE = '\u001b[1A\u001b[2K\r';
/** The Output port has no height of the terminal, and a frame higher than the screen cannot be redrawn. */
const MAX_ROWS = 18;

/** Redraws a frame in place. */
export class TtyScreen {
  readonly #output: Output;
  readonly #colour: boolean;
  #drawn: readonly string[] = [];

  constructor(output: Output, colour: boolean) {
    this.#output = output;
    this.#colour = colour;
  }

  /** `elapsed` in milliseconds. */
  async draw(state: ProgressState, elapsed: number): Promise<void> {
    if (state.name === '') return;
    const columns = this.#output.columns();
    const lines = frame(state, { elapsed, columns, colour: this.#colour, maxRows: MAX_ROWS });
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
