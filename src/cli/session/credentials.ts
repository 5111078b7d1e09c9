import { closingAfter } from '../../core/async/cleanup.ts';
import { HawserError } from '../../core/errors.ts';
import type { Reference } from '../../core/reference/reference.ts';
import { isDockerHub } from '../../core/registry/credentials/auth-file.ts';
import type { Credential, Credentials } from '../../core/registry/credentials/credential.ts';
import { PASSWORD_STDIN, REFRESH, USER } from '../grammar/registry-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { type Context, warn } from './context.ts';

/** The credential of --user or --refresh; undefined without them. May ask for the password. */
export async function givenCredential(
  context: Context<'user' | 'password-stdin' | 'refresh'>,
): Promise<Credential | undefined> {
  const { input } = context;
  const user = input.get(USER);
  if (user === undefined) {
    if (input.get(PASSWORD_STDIN)) throw usageError('--password-stdin needs --user', 'Add --user NAME');
    const refreshToken = input.get(REFRESH);
    return refreshToken === undefined || refreshToken === ''
      ? undefined
      : { source: '--refresh', refreshToken };
  }
  const source = '--user';
  const colon = user.indexOf(':');
  const username = colon > 0 ? user.slice(0, colon) : user;
  const secret = colon > 0 ? user.slice(colon + 1) : '';
  if (input.get(PASSWORD_STDIN)) {
    if (secret !== '') throw usageError('--password-stdin and a password in --user exclude each other');
    return { source, username, secret: await readPassword(context) };
  }
  return { source, username, secret: secret === '' ? await askPassword(context) : secret };
}

/** Asks on a terminal for user and password; undefined where there is none, or no user is given. */
export async function askCredential(context: Context): Promise<Credential | undefined> {
  const { host } = context.runtime;
  if (!host.stdinIsTerminal) return undefined;
  await context.stderr.write('Username: ');
  const username = await host.readLine({ signal: context.signal });
  return username === ''
    ? undefined
    : { source: 'standard input', username, secret: await askPassword(context) };
}

async function askPassword(context: Context): Promise<string> {
  const { host } = context.runtime;
  if (!host.stdinIsTerminal) {
    throw new HawserError('InvalidArgument', 'Cannot ask for the password: standard input is no terminal', {
      hint: 'Give it with --password-stdin (echo "$PASSWORD" | hawser ... --password-stdin) or --user NAME:PASSWORD',
    });
  }
  await context.stderr.write('Password: ');
  return await closingAfter(
    async () => nonEmpty(await host.readLine({ silent: true, signal: context.signal })),
    () => warn(context, ''),
  );
}

async function readPassword(context: Context): Promise<string> {
  if (context.runtime.host.stdinIsTerminal)
    await warn(context, 'reading the password from standard input, up to the end of the line');
  return nonEmpty(await context.runtime.host.readLine({ signal: context.signal }));
}

function nonEmpty(password: string): string {
  if (password !== '') return password;
  throw new HawserError('InvalidArgument', 'Cannot use an empty password', {
    hint: 'Give the password, or the token that stands in its place; without --user, what `hawser login` keeps is used',
  });
}

/** Gives the credential to the reference's own registry and to no other host. */
export function onlyFor(reference: Pick<Reference, 'host'>, credential: Credential | undefined): Credentials {
  const same = (host: string) =>
    host === reference.host || (isDockerHub(host) && isDockerHub(reference.host));
  return async (host) => (same(host) ? credential : undefined);
}
