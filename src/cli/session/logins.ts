/** `login` and `logout`: credentials for a registry, checked, into Docker's config.json or a helper, and out of them. */
import { HawserError, messageOf, wrap } from '../../core/errors.ts';
import type { Credentials } from '../../core/registry/credentials/credential.ts';
import {
  dropCredential,
  type KeepDeps,
  type KeptIn,
  keepCredential,
} from '../../core/registry/credentials/keep.ts';
import { dockerConfigPath, goesBefore, storedCredentials } from '../../core/registry/credentials/sources.ts';
import type { RegistryEvent } from '../../core/registry/observe.ts';
import type { NetworkFlag, RegistryFlag } from '../grammar/registry-flags.ts';
import { withRegistry } from './asking.ts';
import { type Context, warn } from './context.ts';
import { askCredential, givenCredential } from './credentials.ts';

export type LoginContext = Context<RegistryFlag | NetworkFlag>;

export interface LoggedIn extends KeptIn {
  readonly username: string;
}

/** Keeps nothing that the registry does not take. `user`: asked for when --user is not given. */
export async function logIn(
  context: LoginContext,
  host: string,
  helper: string | undefined,
): Promise<LoggedIn> {
  const { signal } = context;
  const given = (await givenCredential(context)) ?? (await askCredential(context));
  if (given === undefined || !('username' in given)) throw noUser();
  const { username, secret } = given;
  let isAsked = false;
  const observe = (event: RegistryEvent): void => {
    if (event.type === 'credential') isAsked = true;
  };
  await withRegistry(context, { host }, ({ registry }) => registry.access(host, { signal }), {
    credential: given,
    observe,
  }).catch((err) => {
    throw wrap(`failed to log in to ${host}`, err);
  });
  if (!isAsked)
    await warn(context, `warning: ${host} asked for no credentials: they are kept without a check`);
  const path = await dockerConfigPath(placeDeps(context), { signal });
  const kept = await keepCredential(keepDeps(context), path, { host, username, secret, helper }, { signal });
  if (kept.isPlain)
    await warn(
      context,
      `warning: the password is in ${kept.place} as it is, for whoever can read the file; --helper NAME keeps it in docker-credential-NAME (pass, secretservice)`,
    );
  await tellWhatGoesBefore(context, path, host);
  return { ...kept, username };
}

/** The credentials are kept by now: what cannot be looked at is a warning. */
async function tellWhatGoesBefore(context: Context, path: string, host: string): Promise<void> {
  const { signal } = context;
  try {
    const earlier = await goesBefore({ ...placeDeps(context), warn: warning(context) }, path, host, {
      signal,
    });
    if (earlier !== undefined)
      await warn(context, `warning: ${earlier} speaks of ${host}, too, and goes before what was kept`);
  } catch (err) {
    signal.throwIfAborted();
    await warn(context, `warning: cannot tell what goes before what was kept: ${messageOf(err)}`);
  }
}

function noUser(): HawserError {
  return new HawserError('InvalidArgument', 'login needs a user', {
    hint: 'hawser login --user NAME HOST asks for the password; --password-stdin reads it',
  });
}

/** Where they were; undefined: there were none. Tells what is still found elsewhere. */
export async function logOut(context: Context, host: string): Promise<string | undefined> {
  const { signal } = context;
  const path = await dockerConfigPath(placeDeps(context), { signal });
  const place = await dropCredential(keepDeps(context), path, host, { signal });
  const left = await stored(context)(host, '', { signal }).catch(async (err: unknown) => {
    signal.throwIfAborted();
    const message = `warning: cannot tell whether credentials for ${host} are still found elsewhere: ${messageOf(err)}`;
    await warn(context, message);
    return undefined;
  });
  if (left !== undefined)
    await warn(
      context,
      `warning: credentials for ${host} are still found in ${left.source ?? 'another place'}`,
    );
  return place;
}

function stored(context: Context): Credentials {
  const deps = { ...placeDeps(context), programs: context.runtime.programs };
  return storedCredentials({ ...deps, warn: warning(context) });
}

function warning(context: Context): (message: string) => void {
  return (message) => void warn(context, `warning: ${message}`).catch(() => {});
}

function placeDeps({ runtime }: Context): Parameters<typeof dockerConfigPath>[0] {
  return { fs: runtime.fs, uid: runtime.host.uid, env: (name) => runtime.host.env(name) };
}

function keepDeps({ runtime }: Context): KeepDeps {
  const { fs, programs, clock } = runtime;
  return { fs, programs, clock, random: (length) => runtime.host.random(length) };
}
