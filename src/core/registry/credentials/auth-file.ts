/** Docker's config.json and podman's auth.json as data; no helper runs. */
import { HawserError } from '../../errors.ts';
import { printable } from '../redact.ts';
import type { Credential } from './credential.ts';

/** Docker Hub's own key in these files. */
const HUB_KEY = 'https://index.docker.io/v1/';
/** Names under which Docker Hub is known; a credential for one is for all. */
const HUB_NAMES: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

const SCHEME = /^https?:\/\//;

export function isDockerHub(host: string): boolean {
  return HUB_NAMES.has(host);
}

/** The key of a registry in these files, and the server that helpers are asked for. */
export function serverOf(host: string): string {
  return isDockerHub(host) ? HUB_KEY : host;
}

export interface AuthFile {
  /** For messages: a path or the name of a variable. */
  readonly source: string;
  readonly auths: Readonly<Record<string, unknown>>;
  readonly credsStore: string | undefined;
  readonly credHelpers: Readonly<Record<string, unknown>>;
}

/** InvalidArgument when the text is not in Docker's form. The message has no content of the file. */
export function parseAuthFile(text: string, source: string): AuthFile {
  let document: unknown;
  try {
    document = text.trim() === '' ? {} : JSON.parse(text);
  } catch {
    throw invalid(source, 'it is not JSON');
  }
  if (!isObject(document)) throw invalid(source, 'it is not a JSON object');
  const { auths = {}, credHelpers = {}, credsStore } = document;
  if (!isObject(auths)) throw invalid(source, '"auths" is not an object');
  if (!isObject(credHelpers)) throw invalid(source, '"credHelpers" is not an object');
  if (credsStore !== undefined && typeof credsStore !== 'string')
    throw invalid(source, '"credsStore" is not a string');
  return { source, auths, credHelpers, credsStore: credsStore === '' ? undefined : credsStore };
}

/** Docker's file before version 1.7: the entries of `auths`, without the member. Otherwise like `parseAuthFile`. */
export function parseOldAuthFile(text: string, source: string): AuthFile {
  const { auths } = parseAuthFile(`{"auths":${text.trim() === '' ? '{}' : text}}`, source);
  return { source, auths, credHelpers: {}, credsStore: undefined };
}

/** What may follow `docker-credential-` in the name of a program: nothing that leads to another directory. */
export function isHelperName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name);
}

/** The helper for a host (`ecr-login`), and the server to ask it for. The host's own helper comes before the general one. */
export function helperOf(file: AuthFile, host: string): { name: string; server: string } | undefined {
  const server = serverOf(host);
  const key = [server, ...namesOf(host)].find((one) => Object.hasOwn(file.credHelpers, one));
  const name = key === undefined ? file.credsStore : file.credHelpers[key];
  if (name === undefined || name === '') return undefined;
  if (typeof name === 'string' && isHelperName(name)) return { name, server };
  const where = key === undefined ? 'credsStore' : `credHelpers[${JSON.stringify(key)}]`;
  throw invalid(file.source, `${where} is not the name of a helper`);
}

/**
 * The file's own credential for `host/repository`: of the most specific key (`reg.io/team/app`, `reg.io/team`, `reg.io`), else of a
 * key that is a URL at the host, or the host with an API version. Undefined: nothing.
 */
export function storedCredential(file: AuthFile, host: string, repository: string): Credential | undefined {
  const key = keyFor(Object.keys(file.auths), host, repository);
  if (key === undefined) return undefined;
  const entry = file.auths[key];
  const where = `auths[${JSON.stringify(printable(key, 200))}]`;
  if (!isObject(entry)) throw invalid(file.source, `${where} is not an object`);
  return credentialOf(entry, (why) => invalid(file.source, `${where}: ${why}`), file.source);
}

function keyFor(keys: readonly string[], host: string, repository: string): string | undefined {
  const segments = repository.split('/');
  for (let count = segments.length; count >= 0; count--) {
    const path = segments.slice(0, count).map((segment) => `/${segment}`);
    const exact = namesOf(host)
      .map((name) => name + path.join(''))
      .find((key) => keys.includes(key));
    if (exact !== undefined) return exact;
  }
  // A key with a scheme is a server's address, whatever path follows (Docker's ConvertToHostname); one without names a repository.
  const bare = (key: string): string =>
    SCHEME.test(key) ? key.replace(SCHEME, '').replace(/\/.*$/, '') : key.replace(/\/(?:v[12]\/?)?$/, '');
  return (
    keys.find((key) => key === HUB_KEY && isDockerHub(host)) ??
    keys.find((key) => namesOf(host).includes(bare(key)))
  );
}

function namesOf(host: string): readonly string[] {
  return isDockerHub(host) ? [host, ...[...HUB_NAMES].filter((name) => name !== host)] : [host];
}

function credentialOf(
  entry: Readonly<Record<string, unknown>>,
  wrong: (why: string) => HawserError,
  source: string,
): Credential | undefined {
  const text = (name: string): string => {
    const value = entry[name] ?? '';
    if (typeof value !== 'string') throw wrong(`"${name}" is not a string`);
    return value;
  };
  if (text('registrytoken') !== '') return { source, registryToken: text('registrytoken') };
  if (text('identitytoken') !== '') return { source, refreshToken: text('identitytoken') };
  if (text('auth') !== '') return { source, ...decode(text('auth'), wrong) };
  if (text('username') === '' && text('password') === '') return undefined;
  if (text('username') === '') throw wrong('a password without a user');
  return { source, username: text('username'), secret: text('password') };
}

/** base64 of `user:password`, in UTF-8; some tools have left NULs at its end. */
function decode(auth: string, wrong: (why: string) => HawserError): { username: string; secret: string } {
  let text: string;
  try {
    text = new TextDecoder().decode(Uint8Array.from(atob(auth), (character) => character.charCodeAt(0)));
  } catch {
    throw wrong('"auth" is not base64');
  }
  const colon = text.indexOf(':');
  if (colon <= 0) throw wrong('"auth" is not USER:PASSWORD');
  return { username: text.slice(0, colon), secret: text.slice(colon + 1).replace(/\0+$/, '') };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(source: string, why: string): HawserError {
  return new HawserError('InvalidArgument', `Cannot use the credentials in ${source}: ${why}`, {
    hint: 'Mend it, or log in again with the tool that wrote it',
  });
}
