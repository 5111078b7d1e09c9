import { errnoOf, hintOf, kindOf, messageOf } from '../core/errors.ts';
import type { Runtime } from '../core/runtime.ts';
import type { Command } from './commands/command.ts';
import { GRAMMAR } from './commands/index.ts';
import { DEBUG, TIMEOUT } from './grammar/flags.ts';
import { type Parsed, parseCommandLine } from './grammar/parse.ts';
import { isUsageError } from './grammar/usage-error.ts';
import { renderHelp } from './render/help.ts';
import { redact, safe, safeLines } from './render/text.ts';
import { makeContext } from './session/context.ts';
import { listen } from './session/interrupt.ts';
import { pipeAware } from './session/pipe-aware.ts';
import type { Services } from './session/services.ts';
import { versionLine } from './version.ts';

/** 128 + SIGPIPE: the reader of our output went away. */
const PIPE_CLOSED = 141;

/**
 * One command line, from arguments to exit code: 0, 1 for errors, 2 for wrong usage, 128 + n when ended by signal n.
 * Never throws. After a second interrupt it returns while work is still running: the caller ends the process.
 */
export async function run(runtime: Runtime, args: readonly string[], services: Services): Promise<number> {
  try {
    const parsed = parseCommandLine(args, GRAMMAR, (name) => runtime.host.env(name));
    if (parsed.type === 'run') return await execute(runtime, parsed, services);
    const text = parsed.type === 'version' ? `${versionLine(runtime)}\n` : renderHelp(parsed, GRAMMAR);
    await pipeAware(runtime.host.stdout).write(text);
    return 0;
  } catch (err) {
    return await fail(runtime, err, args.includes('--debug'));
  }
}

async function execute(
  runtime: Runtime,
  { command, input }: Extract<Parsed<Command>, { type: 'run' }>,
  services: Services,
): Promise<number> {
  const interruption = listen(runtime.host, runtime.clock, input.get(TIMEOUT) ?? 0);
  try {
    const context = makeContext(runtime, services, input, interruption.signal);
    const work = command.run(context, input).then(
      () => 0,
      (err) => fail(runtime, preferReason(err, interruption.signal), input.get(DEBUG), interruption.code()),
    );
    return await Promise.race([work, interruption.again]);
  } finally {
    interruption[Symbol.dispose]();
  }
}

/** What an abort made fail says little: the reason of the abort says why. */
function preferReason(err: unknown, signal: AbortSignal): unknown {
  return signal.aborted && ['Canceled', 'DeadlineExceeded', 'Internal'].includes(kindOf(err))
    ? signal.reason
    : err;
}

/** For what was never meant to happen. */
const BUG = 'This looks like a bug in hawser: run it again with --debug and report what it prints';

async function fail(runtime: Runtime, err: unknown, debug: boolean, interrupted?: number): Promise<number> {
  if (isClosedPipe(err)) return PIPE_CLOSED;
  const lines = [`hawser: ${safe(redact(messageOf(err)))}`];
  const hint = hintOf(err) ?? (kindOf(err) === 'Internal' ? BUG : undefined);
  if (hint !== undefined) lines.push(`hint: ${safe(redact(hint))}`);
  if (debug && err instanceof Error) lines.push(safeLines(redact(stackOf(err))));
  try {
    await runtime.host.stderr.write(`${lines.join('\n')}\n`);
  } catch {
    // Nobody reads standard error: the exit code is all that is left to say.
  }
  if (isUsageError(err)) return 2;
  if (interrupted !== undefined) return interrupted;
  return kindOf(err) === 'Canceled' ? 130 : 1;
}

function isClosedPipe(err: unknown): boolean {
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
