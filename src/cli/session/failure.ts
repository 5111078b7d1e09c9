/** An error as text and as an exit code. */
import { errnoOf, hintOf, kindOf, messageOf, notesOf, reasonOf } from '../../core/errors.ts';
import type { Output } from '../../core/ports/host.ts';
import { isUsageError } from '../grammar/usage-error.ts';
import { errorEvent, eventLine } from '../render/json.ts';
import { redact, safe, safeLines } from '../render/text.ts';

/** Tags have moved since their digests were pinned; nothing else is wrong. */
const MOVED = 3;
/** An archive builds upon blobs that are not here. */
const LACKS = 4;

/** 128 + SIGPIPE. */
const PIPE_CLOSED = 141;

/** The hint of an error that is nobody's fault but ours. */
const BUG = 'This looks like a bug in hawser: ';
const DEBUG_FIRST = 'run it again with --debug and report what it prints';
const REPORT = 'report it with what is printed here';

/** SQLite's results for what the system refused: NOMEM, READONLY, IOERR, FULL, CANTOPEN (sqlite.org/rescode.html). */
const SYSTEM_ERRCODES: ReadonlySet<number> = new Set([7, 8, 10, 13, 14]);

export interface FailureOptions {
  readonly stderr: Output;
  /** With the stacks along the cause chain. */
  readonly debug: boolean;
  /** One line, as JSON: `--json`. */
  readonly json?: boolean;
  /** 128 and the number of the signal that ended the work. */
  readonly interrupted?: number | undefined;
}

/** Writes the error, its hint, and as notes what cleaning up met. Returns the exit code. Never throws. Writes nothing when the output was closed. */
export async function tellFailure(err: unknown, opts: FailureOptions): Promise<number> {
  if (isClosedPipe(err)) return PIPE_CLOSED;
  const hint = hintOf(err) ?? (isBug(err) ? BUG + (opts.debug ? REPORT : DEBUG_FIRST) : undefined);
  const text = opts.json ? eventLine({ ...errorEvent(err), hint }) : textOf(err, hint, opts.debug);
  try {
    await opts.stderr.write(`${text}\n`);
  } catch {
    // Nobody reads standard error: the exit code is all that is left to say.
  }
  if (isUsageError(err)) return 2;
  if (opts.interrupted !== undefined) return opts.interrupted;
  if (reasonOf(err, 'lacks') !== undefined) return LACKS;
  if (reasonOf(err, 'moved') !== undefined) return MOVED;
  return kindOf(err) === 'Canceled' ? 130 : 1;
}

function textOf(err: unknown, hint: string | undefined, debug: boolean): string {
  const lines = [`hawser: ${safe(redact(messageOf(err)))}`];
  if (hint !== undefined) lines.push(`hint: ${safe(redact(hint))}`);
  lines.push(...notesOf(err).map((note) => `note: ${safe(redact(note))}`));
  if (debug && err instanceof Error) lines.push(safeLines(redact(stackOf(err))));
  return lines.join('\n');
}

/** The reader of our output went away. */
export function isClosedPipe(err: unknown): boolean {
  return kindOf(err) === 'Aborted' && errnoOf(err) === 'EPIPE';
}

/** An Internal error; one that a system call or SQLite brought (a broken disk, a full one) is none of ours. */
function isBug(err: unknown): boolean {
  if (kindOf(err) !== 'Internal' || errnoOf(err) !== undefined) return false;
  return causesOf(err).every((cause) => {
    const { code, errcode } = cause as { readonly code?: unknown; readonly errcode?: unknown };
    return (
      !(typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) && !SYSTEM_ERRCODES.has(Number(errcode) & 0xff)
    );
  });
}

/** The error and its causes. */
function causesOf(err: unknown): Error[] {
  const causes: Error[] = [];
  for (let current = err; current instanceof Error && causes.length < 8; current = current.cause)
    causes.push(current);
  return causes;
}

/** The stacks along the cause chain. */
function stackOf(err: Error): string {
  return causesOf(err)
    .map((cause) => cause.stack ?? cause.message)
    .join('\ncaused by: ');
}
