/** docker-credential-helpers: `docker-credential-<name> get`, the server on standard input, JSON on standard output. */
import { HawserError, hintOf, kindOf, messageOf } from '../../errors.ts';
import type { Call } from '../../ports/call.ts';
import type { ProgramResult, Programs } from '../../ports/programs.ts';
import { printable } from '../redact.ts';
import type { Credential } from './credential.ts';

/** Milliseconds. A helper may ask its user something. */
const HELPER_TIME_LIMIT = 60_000;
const MAX_OUTPUT = 64 * 1024;
const NOT_FOUND = 'credentials not found in native keychain';

/** Undefined when the helper has no credential. A failure of the helper is an error, never a missing credential. */
export async function askHelper(
  programs: Programs,
  { name, server, source }: { readonly name: string; readonly server: string; readonly source: string },
  call: Call,
): Promise<Credential | undefined> {
  const program = `docker-credential-${name}`;
  const doing = `Cannot get credentials for ${server} from ${program} (named in ${source})`;
  const failed = failure(doing, `Mend ${program}, or take it out of ${source}`);
  const { code, stdout, stderr } = await runHelper(
    programs,
    { program, verb: 'get', input: server },
    failed,
    call,
  );
  if (code !== 0) {
    if (stdout.trim() === NOT_FOUND || stderr.trim() === NOT_FOUND) return undefined;
    throw failed(endOf({ code, stdout, stderr }));
  }
  const answer = parse(stdout);
  if (answer === undefined) throw failed('its answer is not what the protocol says');
  if (answer.ServerURL !== '' && bare(answer.ServerURL) !== bare(server)) {
    throw failed(`it answered for ${printable(answer.ServerURL, 200)}`);
  }
  if (answer.Secret === '') return undefined;
  const told = { source: program };
  if (answer.Username === '<token>') return { ...told, refreshToken: answer.Secret };
  return { ...told, username: answer.Username, secret: answer.Secret };
}

/** `input` goes to the helper and into no message. A helper that erases and has nothing to erase is no error. */
export async function changeHelper(
  programs: Programs,
  { name, verb, input }: { readonly name: string; readonly verb: 'store' | 'erase'; readonly input: string },
  call: Call,
): Promise<void> {
  const program = `docker-credential-${name}`;
  const doing = `Cannot ${verb} the credentials with ${program}`;
  const failed = failure(doing, `Mend ${program}, or name another helper with --helper`);
  const ended = await runHelper(programs, { program, verb, input }, failed, call);
  const hadNone = verb === 'erase' && (ended.stderr.trim() || ended.stdout.trim()).includes('not found');
  if (ended.code !== 0 && !hadNone) throw failed(endOf(ended));
}

type Failed = (why: string, err?: unknown) => HawserError;

function failure(doing: string, hint: string): Failed {
  return (why, err) =>
    new HawserError(
      err === undefined || kindOf(err) === 'NotFound' ? 'FailedPrecondition' : kindOf(err),
      `${doing}: ${why}`,
      { cause: err, hint: hintOf(err) ?? hint },
    );
}

async function runHelper(
  programs: Programs,
  { program, verb, input }: { readonly program: string; readonly verb: string; readonly input: string },
  failed: Failed,
  call: Call,
): Promise<ProgramResult> {
  const how = { input, timeLimit: HELPER_TIME_LIMIT, outputLimit: MAX_OUTPUT, ...call };
  return await programs.run(program, [verb], how).catch((err: unknown) => {
    call.signal?.throwIfAborted();
    throw failed(messageOf(err), err);
  });
}

/** How the helper ended, and what the helper said. */
function endOf({ code, stdout, stderr }: ProgramResult): string {
  const said = printable(stderr.trim() || stdout.trim(), 300);
  return `${code === undefined ? 'it was killed' : `exit ${code}`}${said === '' ? '' : `: ${said}`}`;
}

interface Answer {
  readonly ServerURL: string;
  readonly Username: string;
  readonly Secret: string;
}

function parse(text: string): Answer | undefined {
  try {
    const { ServerURL = '', Username, Secret } = JSON.parse(text) as Partial<Record<keyof Answer, unknown>>;
    if (typeof ServerURL !== 'string' || typeof Username !== 'string' || typeof Secret !== 'string') {
      return undefined;
    }
    return { ServerURL, Username, Secret };
  } catch {
    return undefined;
  }
}

/** The host alone; Docker Hub's names become one. */
function bare(server: string): string {
  const host = server.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  return host === 'docker.io' || host === 'registry-1.docker.io' ? 'index.docker.io' : host;
}
