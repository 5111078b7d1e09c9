import { addNote, kindOf, messageOf, notesOf } from '../core/errors.ts';
import type { Runtime } from '../core/runtime.ts';
import type { Command } from './commands/command.ts';
import { GRAMMAR } from './commands/index.ts';
import { DEBUG, JSON_DOCUMENT, TIMEOUT } from './grammar/flags.ts';
import { type Parsed, parseCommandLine } from './grammar/parse.ts';
import { isVerifier, verifierArguments } from './grammar/verifier-arguments.ts';
import { loadParser } from './grammar/words.ts';
import { renderHelp } from './render/help.ts';
import { type Context, makeContext, show, warn } from './session/context.ts';
import { tellFailure } from './session/failure.ts';
import { listen } from './session/interrupt.ts';
import { pipeAware } from './session/pipe-aware.ts';
import type { Services } from './session/services.ts';
import { settingsFiles } from './session/settings.ts';
import { versionLine } from './version.ts';
import type { Outcome } from './views/view.ts';

/**
 * One command line, from arguments to exit code: 0, 1 for errors, 2 for wrong usage, 3 for tags that have moved, 4 for an archive that
 * builds upon what is not here, 128 + n when ended by signal n.
 * Throws only what keeps it from starting. After a second interrupt it returns while work is still running: the caller ends the process.
 */
export async function run(runtime: Runtime, args: readonly string[], services: Services): Promise<number> {
  const { host } = runtime;
  const parser = await loadParser();
  try {
    const parsed = parseCommandLine(parser, verifierArguments(args), GRAMMAR, (name) => host.env(name));
    if (parsed.type === 'run')
      return await execute(runtime, await configured(runtime, parsed, isVerifier(args)), services);
    const text =
      parsed.type === 'version'
        ? `${versionLine(runtime)}\n`
        : renderHelp(parsed, GRAMMAR, host.stdout.columns());
    await pipeAware(host.stdout).write(text);
    return 0;
  } catch (err) {
    // Of a verifier containerd shows standard output.
    if (isVerifier(args)) await host.stdout.write(`${messageOf(err)}\n`).catch(() => {});
    return await tellFailure(err, {
      stderr: host.stderr,
      debug: args.includes('--debug'),
      json: args.includes('--json'),
    });
  }
}

type ParsedCommand = Extract<Parsed<Command>, { type: 'run' }>;

/**
 * With what hawser.toml says: for an image verifier, that of the system alone, as it answers for the node. A bad value of a variable is a
 * usage error, before anything is done.
 */
async function configured(
  runtime: Runtime,
  parsed: ParsedCommand,
  systemOnly: boolean,
): Promise<ParsedCommand> {
  // Two small files, before signals are listened to: an interrupt ends the process.
  const { signal } = new AbortController();
  const files = await settingsFiles(runtime, parsed.input, { systemOnly, signal });
  const sources = files.flatMap(({ source }) => source ?? []);
  const input = parsed.input.with(sources);
  for (const flag of [...GRAMMAR.globals, ...parsed.command.flags]) input.get(flag);
  return { ...parsed, input };
}

async function execute(
  runtime: Runtime,
  { command, input }: ParsedCommand,
  services: Services,
): Promise<number> {
  const interruption = listen(runtime.host, runtime.clock, input.get(TIMEOUT) ?? 0);
  const { signal } = interruption;
  const work = async (): Promise<number> => {
    try {
      const context = makeContext(runtime, services, input, signal);
      await tell(context, await command.run(context, input));
      return 0;
    } catch (err) {
      const { stderr } = runtime.host;
      const json = command.flags.some(({ name }) => name === JSON_DOCUMENT.name) && input.get(JSON_DOCUMENT);
      const options = { stderr, debug: input.get(DEBUG), json, interrupted: interruption.code() };
      return await tellFailure(preferReason(err, signal), options);
    }
  };
  try {
    return await Promise.race([work(), interruption.again]);
  } finally {
    interruption[Symbol.dispose]();
  }
}

/** Writes what the command returned. Throws the first of its failures. */
async function tell(context: Context, { view, warnings = [], failures = [] }: Outcome): Promise<void> {
  for (const warning of warnings) await warn(context, warning);
  if (view !== undefined) await show(context, view);
  for (const err of failures.slice(1)) await warn(context, `error: ${messageOf(err)}`);
  if (failures.length > 0) throw failures[0];
}

/** Prefers the reason of the abort to an error that only says that work was aborted. */
function preferReason(err: unknown, signal: AbortSignal): unknown {
  return signal.aborted && ['Canceled', 'DeadlineExceeded', 'Internal'].includes(kindOf(err))
    ? withNotes(signal.reason, err)
    : err;
}

function withNotes(reason: unknown, err: unknown): unknown {
  for (const note of notesOf(err)) addNote(reason, note);
  return reason;
}
