/** Shows a transfer: on a terminal, as lines, as JSON, or not at all. */
import { isKind } from '../../core/errors.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Output } from '../../core/ports/host.ts';
import type { Report } from '../../core/progress/events.ts';
import type { ImageFailure } from '../../core/progress/final-event.ts';
import type { FetchResult, PullResult } from '../../core/verbs/options.ts';
import type { ProgressMode } from '../grammar/flags.ts';
import { visibleWidth } from './frame.ts';
import { errorEvent, eventLine, JsonThrottle } from './json.ts';
import { plainLines } from './plain.ts';
import { PlainProgress } from './plain-progress.ts';
import { advance, fetchedBytes, newState, type ProgressState } from './progress-state.ts';
import { redact, safe } from './text.ts';
import { TtyScreen } from './tty.ts';
import { duration } from './units.ts';
import { verifiedLine } from './verified.ts';

export interface DisplayOptions {
  /** `document`: one JSON document at the end; `names`: the name of each image. */
  readonly mode: ProgressMode | 'document' | 'names';
  readonly clock: Clock;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly colour: boolean;
  /** A line `image chain ID: ...` after each unpack, on standard output; not in mode json, whose events have the chain ID. */
  readonly printChainId: boolean;
  /** `pull` ends with ctr's `done: ...` line. */
  readonly unpacks: boolean;
  /** Default: blobs come. */
  readonly sends?: boolean | undefined;
}

/** `state`: what became of the image, in a word, where more than one thing may. */
export interface ShownResult extends FetchResult, Partial<Pick<PullResult, 'unpacked'>> {
  readonly state?: string | undefined;
}

/** Milliseconds between two frames. */
const INTERVAL = 100;
/** The most warnings shown: an image must not fill a log. */
const MAX_WARNINGS = 100;

export class Display {
  readonly #opts: DisplayOptions;
  readonly #state: ProgressState;
  readonly #startedAt: number;
  readonly #screen: TtyScreen | undefined;
  readonly #throttle: JsonThrottle = new JsonThrottle();
  readonly #chainIds: string[] = [];
  readonly #warnings: string[] = [];
  readonly #stop = new AbortController();
  #ticking: Promise<void> = Promise.resolve();
  #writes: Promise<void> = Promise.resolve();
  #failure: { reason: unknown } | undefined;

  constructor(opts: DisplayOptions) {
    this.#opts = opts;
    this.#state = newState(opts.sends);
    this.#startedAt = opts.clock.monotonic();
    this.#screen = opts.mode === 'tty' ? new TtyScreen(opts.stdout, opts.colour) : undefined;
    if (this.#screen)
      this.#ticking = this.#every(
        () => INTERVAL,
        () => this.#draw(),
      );
    if (opts.mode === 'plain') {
      const progress = new PlainProgress(this.#startedAt);
      const now = async () => this.#lines([progress.line(this.#state, opts.clock.monotonic())]);
      this.#ticking = this.#every(() => progress.pause(), now);
    }
  }

  readonly report: Report = (event) => {
    advance(this.#state, event);
    if (event.type === 'warning') this.#warn(event.message);
    if (event.type === 'unpacked') this.#chainIds.push(event.chainId);
    const { mode, clock } = this.#opts;
    // A blob with several parents is announced once for each: an unchanged status is not repeated.
    if (mode === 'plain' && this.#throttle.pass(event, 0))
      this.#lines(plainLines(event, this.#opts.printChainId));
    if (mode === 'none' && event.type === 'unpacked' && this.#opts.printChainId) {
      this.#lines([`image chain ID: ${safe(event.chainId)}`]);
    }
    if (mode === 'json' && this.#throttle.pass(event, clock.monotonic())) this.#lines([eventLine(event)]);
  };

  /** Writes the last lines of a success: one for each image. */
  async finish(result: ShownResult | readonly ShownResult[]): Promise<void> {
    const results = 'name' in result ? [result] : result;
    const ms = this.#opts.clock.monotonic() - this.#startedAt;
    await this.#end();
    const bytes = fetchedBytes(this.#state);
    const { mode, unpacks, printChainId } = this.#opts;
    if (mode === 'document') this.#ended(results, [], ms);
    else if (mode === 'names') this.#lines(results.map(({ name }) => safe(name)));
    else if (mode === 'json') {
      const seconds = Math.round(ms) / 1000;
      const done = (one: FetchResult) =>
        eventLine({ type: 'done', name: one.name, digest: one.target.digest, bytes, seconds });
      this.#lines(results.map(done));
    } else if (mode !== 'none') {
      const chains =
        mode === 'tty' && printChainId ? this.#chainIds.map((id) => `image chain ID: ${safe(id)}`) : [];
      this.#lines([
        ...(mode === 'tty' ? results.flatMap(verifiedLines) : []),
        ...chains,
        ...(unpacks ? [`done: ${duration(ms)}\t`] : []),
        ...this.#summary(results, bytes, ms),
      ]);
    }
    await this.#settle();
  }

  /** Writes the last lines of many images: a line for each that is there, in their order. What failed is the caller's to tell. */
  async finishMany(done: readonly ShownResult[], failed: readonly ImageFailure[]): Promise<void> {
    const ms = this.#opts.clock.monotonic() - this.#startedAt;
    await this.#end();
    const bytes = fetchedBytes(this.#state);
    const { mode } = this.#opts;
    if (mode === 'json' || mode === 'document') this.#ended(done, failed, ms);
    else if (mode === 'names') this.#lines(done.map(({ name }) => safe(name)));
    else if (mode !== 'none') {
      const all = done.length + failed.length;
      const summary = `${done.length} of ${all} images: ${bytes} bytes in ${(ms / 1000).toFixed(2)} s`;
      const line = ({ name, target, state }: ShownResult): string =>
        this.#fitting([safe(name), target.digest, ...(state === undefined ? [] : [state])]);
      this.#lines([...done.map(line), summary]);
    }
    await this.#settle();
  }

  /** `bytes` in `ms` milliseconds for all images together. */
  #summary(results: readonly FetchResult[], bytes: number, ms: number): string[] {
    const cost = `${bytes} bytes in ${(ms / 1000).toFixed(2)} s`;
    const [first] = results;
    if (results.length === 1 && first !== undefined)
      return [
        this.#fitting(
          [safe(first.name), first.target.digest, cost],
          `${safe(first.name)} ${first.target.digest}: ${cost}`,
        ),
      ];
    return [
      ...results.map(({ name, target }) => this.#fitting([safe(name), target.digest])),
      `${results.length} images: ${cost}`,
    ];
  }

  /** One line; on a terminal that has no room for it, a line for each part: a digest in one piece can be copied. */
  #fitting(parts: readonly string[], line = parts.join(' ')): string {
    const columns = this.#opts.mode === 'tty' ? this.#opts.stdout.columns() : undefined;
    return columns === undefined || visibleWidth(line) <= columns ? line : parts.join('\n  ');
  }

  #ended(done: readonly ShownResult[], failed: readonly ImageFailure[], ms: number): void {
    const named = done.map(({ name, target, state, verified, unpacked }) => {
      const chains = unpacked?.map(({ platform, chainId }) => ({ platform, chainId }));
      const vouchers = verified?.flatMap((one) => one.vouchers);
      return { name, digest: target.digest, state, verified: vouchers, unpacked: chains };
    });
    const [bytes, seconds] = [fetchedBytes(this.#state), Math.round(ms) / 1000];
    this.#lines([eventLine({ type: 'ended', done: named, failed, bytes, seconds })]);
  }

  /** After a failure: the last frame stays, and JSON tells the error. Failures of the output itself are dropped. */
  async fail(err: unknown): Promise<void> {
    await this.#end();
    if (this.#opts.mode === 'json') {
      this.#lines([eventLine(errorEvent(err))]);
    }
    await this.#writes;
  }

  async #end(): Promise<void> {
    this.#stop.abort();
    await this.#ticking;
    this.#state.ended = true;
    if (this.#screen) await this.#draw();
    for (const line of this.#warnings) this.#write(this.#opts.stderr, line);
    this.#warnings.length = 0;
  }

  async #settle(): Promise<void> {
    await this.#writes;
    if (this.#failure) throw this.#failure.reason;
  }

  #warnedAlready = 0;

  #warn(message: string): void {
    if (this.#opts.mode === 'json' || this.#warnedAlready++ >= MAX_WARNINGS) return;
    const line = `warning: ${safe(redact(message))}\n`;
    // On a terminal warnings come last: a line among the redrawn ones would be overwritten or stay between them.
    if (this.#screen) this.#warnings.push(line);
    else this.#write(this.#opts.stderr, line);
  }

  #lines(lines: readonly string[]): void {
    if (lines.length > 0) this.#write(this.#opts.stdout, `${lines.join('\n')}\n`);
  }

  /** Queues a write behind the others. After a failed one (a closed pipe) nothing more is written. */
  #write(output: Output, text: string): void {
    this.#writes = this.#writes.then(async () => {
      if (this.#failure) return;
      try {
        await output.write(text);
      } catch (reason) {
        this.#failure = { reason };
      }
    });
  }

  /** Calls `act` after each pause (milliseconds) until the display ends. */
  async #every(pause: () => number, act: () => Promise<void>): Promise<void> {
    try {
      for (;;) {
        await this.#opts.clock.sleep(pause(), this.#stop.signal);
        await act();
      }
    } catch (err) {
      if (!this.#stop.signal.aborted && !isKind(err, 'Canceled')) this.#failure ??= { reason: err };
    }
  }

  async #draw(): Promise<void> {
    if (this.#failure || this.#screen === undefined) return;
    try {
      await this.#screen.draw(this.#state, this.#opts.clock.monotonic() - this.#startedAt);
    } catch (reason) {
      this.#failure = { reason };
    }
  }
}

/** A table has no lines of events. */
function verifiedLines({ name, target, verified = [] }: FetchResult): string[] {
  return verified.map(({ by, vouchers }) =>
    verifiedLine({ type: 'verified', name, target: target.digest, by, vouchers }),
  );
}

/** Without --progress: the table on a terminal that can move its cursor, else lines. */
export function defaultMode(stdout: Output, env: (name: string) => string | undefined): ProgressMode {
  return stdout.isTerminal && env('TERM') !== 'dumb' ? 'tty' : 'plain';
}

/** NO_COLOR (https://no-color.org: any non-empty value) goes before CLICOLOR_FORCE and CLICOLOR (https://bixense.com/clicolors). */
export function wantsColour(stdout: Output, env: (name: string) => string | undefined): boolean {
  if ((env('NO_COLOR') ?? '') !== '') return false;
  if (!['', '0'].includes(env('CLICOLOR_FORCE') ?? '')) return true;
  return stdout.isTerminal && env('TERM') !== 'dumb' && env('CLICOLOR') !== '0';
}
