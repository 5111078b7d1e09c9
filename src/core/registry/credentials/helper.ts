/** docker-credential-helpers: `docker-credential-<name> get`, the server on standard input, JSON on standard output. */
import { HawserError, hintOf, kindOf, messageOf } from '../../errors.ts';
import type { Call } from '../../ports/call.ts';
import type { Programs } from '../../ports/programs.ts';
import { printable } from '../redact.ts';
import type { Credential } from './credential.ts';

/** Milliseconds. A helper may ask its user something. */
export const HELPER_TIME_LIMIT = 60_000;
const MAX_OUTPUT = 64 * 1024;
const NOT_FOUND = 'credentials not found in native keychain';

/** Undefined when the helper has no credential. A failure of the helper is an error, never a missing credential. */
export async function askHelper(
  programs: Programs,
  { name, server, source }: { readonly name: string; readonly server: string; readonly source: string },
  call: Call,
): Promise<Credential | undefined> {
  const program = `docker-credential-${name}`;
  const failed = (why: string, err?: unknown): HawserError =>
    new HawserError(
      err === undefined || kindOf(err) === 'NotFound' ? 'FailedPrecondition' : kindOf(err),
      `Cannot get credentials for ${server} from ${program} (named in ${source}): ${why}`,
      { cause: err, hint: hintOf(err) ?? `Mend ${program}, or take it out of ${source}` },
    );
  const how = { input: server, timeLimit: HELPER_TIME_LIMIT, outputLimit: MAX_OUTPUT, ...call };
  const { code, stdout, stderr } = await programs.run(program, ['get'], how).catch((err: unknown) => {
    call.signal?.throwIfAborted();
    throw failed(messageOf(err), err);
  });
  if (code !== 0) {
    if (stdout.trim() === NOT_FOUND || stderr.trim() === NOT_FOUND) return undefined;
    const said = printable(stderr.trim() || stdout.trim(), 300);
    throw failed(`${code === undefined ? 'it was killed' : `exit ${code}`}${said === '' ? '' : `: ${said}`}`);
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
