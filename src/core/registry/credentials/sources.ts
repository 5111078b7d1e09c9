/** Credentials that other tools (Docker, podman) keep, found by the variables of these tools. */
import { HawserError, ifFound, isKind, messageOf } from '../../errors.ts';
import type { Call } from '../../ports/call.ts';
import type { Runtime } from '../../runtime.ts';
import { type AuthFile, helperOf, parseAuthFile, parseOldAuthFile, storedCredential } from './auth-file.ts';
import type { Credential, Credentials } from './credential.ts';
import { askHelper } from './helper.ts';

export interface SourcesDeps extends Pick<Runtime, 'fs' | 'programs'> {
  readonly env: (name: string) => string | undefined;
  /** Of podman's directory where XDG_RUNTIME_DIR is not set, and of the home directory where HOME is not. */
  readonly uid: number;
  /** Called for files that may not be read. */
  readonly warn: (message: string) => void;
}

const MAX_FILE_BYTES = 1024 * 1024;

/**
 * The first source that has something for the host: DOCKER_AUTH_CONFIG (a document), REGISTRY_AUTH_FILE, Docker's
 * config.json (DOCKER_CONFIG), podman's auth.json below XDG_RUNTIME_DIR (else /run/containers/UID) and XDG_CONFIG_HOME, Docker's old
 * .dockercfg. A file that is broken, or a helper that fails, is an error; a file that is not there is none, unless
 * REGISTRY_AUTH_FILE names it.
 */
export function storedCredentials(deps: SourcesDeps): Credentials {
  return async (host, repository, call) => {
    for (const place of placesOf(deps, await homeOf(deps, call))) {
      const file = await readPlace(deps, place, call);
      const found = file === undefined ? undefined : await lookUp(deps, file, host, repository, call);
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

/**
 * What goes before Docker's config.json (`path`) and speaks of the host, by itself or by a helper: DOCKER_AUTH_CONFIG, or the file that
 * REGISTRY_AUTH_FILE names. Undefined: nothing. No helper runs.
 */
export async function goesBefore(
  deps: Pick<SourcesDeps, 'env' | 'fs' | 'uid' | 'warn'>,
  path: string,
  host: string,
  call: Call,
): Promise<string | undefined> {
  for (const place of placesOf(deps, undefined)) {
    if (!('variable' in place || place.required)) return undefined;
    if ('path' in place && place.path === path) return undefined;
    const file = await readPlace(deps, place, call);
    if (file !== undefined && (helperOf(file, host) ?? storedCredential(file, host, '')) !== undefined)
      return 'variable' in place ? place.variable : `REGISTRY_AUTH_FILE (${place.path})`;
  }
  return undefined;
}

/** The first that has a credential. */
export function firstOf(...sources: readonly Credentials[]): Credentials {
  return async (host, repository, call) => {
    for (const source of sources) {
      const found = await source(host, repository, call);
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

/** Docker's config.json of the user. FailedPrecondition where there is no home directory. */
export async function dockerConfigPath(
  deps: Pick<SourcesDeps, 'env' | 'uid' | 'fs'>,
  call: Call,
): Promise<string> {
  const named = deps.env('DOCKER_CONFIG') ?? '';
  const home = named === '' ? await homeOf(deps, call) : undefined;
  if (named === '' && home === undefined)
    throw new HawserError('FailedPrecondition', 'Cannot tell where credentials are kept: HOME is not set', {
      hint: 'Name a directory with DOCKER_CONFIG',
    });
  return `${named === '' ? `${home}/.docker` : named}/config.json`;
}

type AuthFilePlace =
  | { readonly variable: string; readonly text: string }
  | { readonly path: string; readonly required: boolean };

/** HOME; without HOME, as in a unit of systemd, the home directory that /etc/passwd has for the user. */
async function homeOf(
  { env, uid, fs }: Pick<SourcesDeps, 'env' | 'uid' | 'fs'>,
  call: Call,
): Promise<string | undefined> {
  const set = env('HOME') ?? '';
  if (set !== '') return set;
  const reading = fs.readFile('/etc/passwd', MAX_FILE_BYTES, call);
  const bytes = await ifFound(reading, 'PermissionDenied', 'ResourceExhausted');
  const accounts = new TextDecoder().decode(bytes).split('\n');
  const [home = ''] = accounts
    .map((line) => line.split(':'))
    .filter((fields) => fields[2] === String(uid))
    .map((fields) => fields[5] ?? '');
  return home.startsWith('/') ? home : undefined;
}

function placesOf({ env, uid }: Pick<SourcesDeps, 'env' | 'uid'>, home: string | undefined): AuthFilePlace[] {
  const set = (name: string): string | undefined => (env(name) === '' ? undefined : env(name));
  const below = (dir: string | undefined, path: string): AuthFilePlace[] =>
    dir === undefined ? [] : [{ path: `${dir}/${path}`, required: false }];
  const runtimeDir = set('XDG_RUNTIME_DIR');
  const [document, named] = [set('DOCKER_AUTH_CONFIG'), set('REGISTRY_AUTH_FILE')];
  return [
    ...(document === undefined ? [] : [{ variable: 'DOCKER_AUTH_CONFIG', text: document }]),
    ...(named === undefined ? [] : [{ path: named, required: true }]),
    ...below(set('DOCKER_CONFIG') ?? (home === undefined ? undefined : `${home}/.docker`), 'config.json'),
    ...(runtimeDir === undefined
      ? below('/run/containers', `${uid}/auth.json`)
      : below(runtimeDir, 'containers/auth.json')),
    ...below(
      set('XDG_CONFIG_HOME') ?? (home === undefined ? undefined : `${home}/.config`),
      'containers/auth.json',
    ),
    ...below(home, '.dockercfg'),
  ];
}

async function readPlace(
  { fs, warn }: Pick<SourcesDeps, 'fs' | 'warn'>,
  place: AuthFilePlace,
  call: Call,
): Promise<AuthFile | undefined> {
  if ('variable' in place) return parseAuthFile(place.text, place.variable);
  try {
    const bytes = await fs.readFile(place.path, MAX_FILE_BYTES, call);
    const isOld = place.path.endsWith('/.dockercfg');
    return (isOld ? parseOldAuthFile : parseAuthFile)(new TextDecoder().decode(bytes), place.path);
  } catch (err) {
    if (place.required || !isKind(err, 'NotFound', 'PermissionDenied')) throw err;
    if (isKind(err, 'PermissionDenied'))
      warn(`${place.path} may not be read, and is not used: ${messageOf(err)}`);
    return undefined;
  }
}

/** Where a helper is named for the host, the file's own entries are not its secrets. */
async function lookUp(
  { programs }: SourcesDeps,
  file: AuthFile,
  host: string,
  repository: string,
  call: Call,
): Promise<Credential | undefined> {
  const helper = helperOf(file, host);
  if (helper === undefined) return storedCredential(file, host, repository);
  return await askHelper(programs, { ...helper, source: file.source }, call);
}
