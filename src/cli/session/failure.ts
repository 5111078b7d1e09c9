/** An error as text and as an exit code. */
import { errnoOf, hintOf, kindOf, messageOf, notesOf } from '../../core/errors.ts';
import type { Output } from '../../core/ports/host.ts';
import { isUsageError } from '../grammar/usage-error.ts';
import { redact, safe, safeLines } from '../render/text.ts';

/** 128 + SIGPIPE. */
const PIPE_CLOSED = 141;

/** The hint of an Internal error without a hint of its own. */
const BUG = 'This looks like a bug in hawser: run it again with --debug and report what it prints';

export interface FailureOptions {
  readonly stderr: Output;
  /** With the stacks along the cause chain. */
  readonly debug: boolean;
  /** 128 and the number of the signal that ended the work. */
  readonly interrupted?: number | undefined;
}

/** Writes the error, its hint, and as notes what cleaning up met. Returns the exit code. Never throws. Writes nothing when the output was closed. */
export async function tellFailure(err: unknown, opts: FailureOptions): Promise<number> {
  if (isClosedPipe(err)) return PIPE_CLOSED;
  const lines = [`hawser: ${safe(redact(messageOf(err)))}`];
  const hint = hintOf(err) ?? (kindOf(err) === 'Internal' ? BUG : undefined);
  if (hint !== undefined) lines.push(`hint: ${safe(redact(hint))}`);
  lines.push(...notesOf(err).map((note) => `note: ${safe(redact(note))}`));
  if (opts.debug && err instanceof Error) lines.push(safeLines(redact(stackOf(err))));
  try {
    await opts.stderr.write(`${lines.join('\n')}\n`);
  } catch {
    // Nobody reads standard error: the exit code is all that is left to say.
  }
  if (isUsageError(err)) return 2;
  return opts.interrupted ?? (kindOf(err) === 'Canceled' ? 130 : 1);
}

/** The reader of our output went away. */
export function isClosedPipe(err: unknown): boolean {
  return kindOf(err) === 'Aborted' && errnoOf(err) === 'EPIPE';
}

/** The stacks along the cause chain. */
function stackOf(err: Error): string {
  const stacks: string[] = [];
  let current: unknown = err;
  for (let depth = 0; depth < 8 && current instanceof Error; depth++) {
    stacks.push(current.stack ?? current.message);
    current = current.cause;
  }
  return stacks.join('\ncaused by: ');
}
