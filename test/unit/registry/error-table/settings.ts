/** Errors of what this machine says: credential files, helpers, hosts.toml, certificates, proxies. */
import { HawserError } from '../../../../src/core/errors.ts';
import type { ProgramResult } from '../../../../src/core/ports/programs.ts';
import type { Reference } from '../../../../src/core/reference/reference.ts';
import {
  helperOf,
  parseAuthFile,
  storedCredential,
} from '../../../../src/core/registry/credentials/auth-file.ts';
import { askHelper } from '../../../../src/core/registry/credentials/helper.ts';
import { keepCredential } from '../../../../src/core/registry/credentials/keep.ts';
import { dockerConfigPath } from '../../../../src/core/registry/credentials/sources.ts';
import { hostsFromDirs } from '../../../../src/core/registry/hosts-dir/load.ts';
import { parseHostsToml } from '../../../../src/core/registry/hosts-dir/toml.ts';
import { proxiesOf } from '../../../../src/core/registry/proxy.ts';
import type { Row } from './kit.ts';

const LOGIN_AGAIN = /^Mend it, or log in again with the tool that wrote it$/;

function authFile(
  says: RegExp,
  document: unknown,
  use: (file: ReturnType<typeof parseAuthFile>) => unknown,
): Row {
  const text = typeof document === 'string' ? document : JSON.stringify(document);
  return { says, hint: LOGIN_AGAIN, fail: () => use(parseAuthFile(text, '/x/config.json')) };
}

const stored = (file: ReturnType<typeof parseAuthFile>) => storedCredential(file, 'h', 'a/b');
const entry = (of: unknown) => ({ auths: { h: of } });
const parsed = (): void => {};

const AUTH_FILES: readonly Row[] = [
  authFile(/^Cannot use the credentials in \/x\/config\.json: it is not JSON$/, '{', parsed),
  authFile(/it is not a JSON object$/, [], parsed),
  authFile(/"auths" is not an object$/, { auths: 1 }, parsed),
  authFile(/"credHelpers" is not an object$/, { credHelpers: 1 }, parsed),
  authFile(/"credsStore" is not a string$/, { credsStore: 1 }, parsed),
  authFile(/credsStore is not the name of a helper$/, { credsStore: 'a/b' }, (file) => helperOf(file, 'h')),
  authFile(/credHelpers\["h"\] is not the name of a helper$/, { credHelpers: { h: 1 } }, (file) =>
    helperOf(file, 'h'),
  ),
  authFile(/auths\["h"\] is not an object$/, entry(1), stored),
  authFile(/auths\["h"\]: "auth" is not a string$/, entry({ auth: 1 }), stored),
  authFile(/a password without a user$/, entry({ password: 'hunter2' }), stored),
  authFile(/"auth" is not base64$/, entry({ auth: '%%' }), stored),
  authFile(/"auth" is not USER:PASSWORD$/, entry({ auth: btoa('hunter2') }), stored),
];

function helper(says: RegExp, answer: Partial<ProgramResult> | HawserError): Row {
  const run = async () => {
    if (answer instanceof Error) throw answer;
    return { code: 0, stdout: '', stderr: '', ...answer };
  };
  const asked = { name: 'x', server: 'h', source: '/x/config.json' };
  return {
    says,
    hint: /^Mend docker-credential-x, or take it out of \/x\/config\.json$/,
    fail: () => askHelper({ run } as never, asked, {}),
  };
}

const HELPERS: readonly Row[] = [
  helper(
    /^Cannot get credentials for h from docker-credential-x \(named in \/x\/config\.json\): x is not in PATH$/,
    new HawserError('NotFound', 'x is not in PATH'),
  ),
  helper(/: exit 1: no keyring$/, { code: 1, stderr: 'no keyring\n' }),
  helper(/: it was killed$/, { code: undefined as never }),
  helper(/: its answer is not what the protocol says$/, { stdout: 'hunter2' }),
  helper(/: it answered for other\.test$/, {
    stdout: '{"ServerURL":"other.test","Username":"u","Secret":"hunter2"}',
  }),
];

/** Of `login`, over a file or a symlink, and a helper that answers so. */
function keeping(
  says: RegExp,
  hint: RegExp,
  type: 'file' | 'symlink',
  answer: Partial<ProgramResult> | HawserError,
): Row {
  const run = async () => {
    if (answer instanceof Error) throw answer;
    return { code: 0, stdout: '', stderr: '', ...answer };
  };
  const bytes = new TextEncoder().encode('{"credsStore":"x"}');
  const fs = { stat: async () => ({ type }), readFile: async () => bytes };
  const deps = { fs, programs: { run }, random: (length: number) => new Uint8Array(length) };
  const entry = { host: 'h', username: 'u', secret: 'hunter2' };
  return { says, hint, fail: () => keepCredential(deps as never, '/x/config.json', entry, {}) };
}

const MEND_HELPER = /^Mend docker-credential-x, or name another helper with --helper$/;

/** Of `login` without a helper: how the lock file is opened, and what the file has by then. */
function locking(open: () => Promise<unknown>, then = '{}'): () => Promise<unknown> {
  const texts = ['{}', then];
  const nothing = async (): Promise<void> => {};
  const readFile = async () => new TextEncoder().encode(texts.shift());
  const fs = { stat: nothing, mkdir: nothing, remove: nothing, open, readFile };
  const deps = { fs, clock: { sleep: nothing }, random: (length: number) => new Uint8Array(length) };
  const entry = { host: 'h', username: 'u', secret: 'hunter2' };
  return () => keepCredential(deps as never, '/x/config.json', entry, {});
}

const LOGINS: readonly Row[] = [
  {
    says: /^Cannot change \/x\/config\.json: read-only$/,
    fail: locking(async () => {
      throw new HawserError('PermissionDenied', 'read-only');
    }),
  },
  {
    says: /^Cannot change \/x\/config\.json: \/x\/config\.json\.lock is there$/,
    hint: /^Another login or logout changes the file; when none is running, remove \/x\/config\.json\.lock$/,
    fail: locking(async () => {
      throw new HawserError('AlreadyExists', 'there');
    }),
  },
  {
    says: /^\/x\/config\.json names a helper for h since a moment$/,
    hint: /^Log in again: the helper then keeps the password$/,
    fail: locking(async () => ({ close: async () => {} }), '{"credsStore":"x"}'),
  },
  keeping(
    /^Cannot change \/x\/config\.json: it is a symlink$/,
    /^Name the directory of the file itself/,
    'symlink',
    {},
  ),
  keeping(
    /^Cannot store the credentials with docker-credential-x: x is not in PATH$/,
    MEND_HELPER,
    'file',
    new HawserError('NotFound', 'x is not in PATH'),
  ),
  keeping(/docker-credential-x: exit 1: no keyring$/, MEND_HELPER, 'file', {
    code: 1,
    stderr: 'no keyring\n',
  }),
  {
    says: /^Cannot change \/x\/config\.json: rename \/x\/config\.json: read-only$/,
    fail: () => {
      const file = { write: async () => {}, sync: async () => {}, close: async () => {} };
      const rename = async () => {
        throw new HawserError('PermissionDenied', 'rename /x/config.json: read-only');
      };
      const there = { stat: async () => undefined, readFile: async () => new Uint8Array(0) };
      const fs = { ...there, mkdir: async () => {}, open: async () => file, rename, remove: async () => {} };
      const deps = { fs, random: (length: number) => new Uint8Array(length) };
      const entry = { host: 'h', username: 'u', secret: 'hunter2' };
      return keepCredential(deps as never, '/x/config.json', entry, {});
    },
  },
  {
    says: /^Cannot tell where credentials are kept: HOME is not set$/,
    hint: /^Name a directory with DOCKER_CONFIG$/,
    fail: () => {
      const fs = { readFile: async () => new Uint8Array(0) };
      return dockerConfigPath({ fs, uid: 7, env: () => undefined } as never, {});
    },
  },
];

function toml(says: RegExp, text: string): Row {
  return {
    says,
    hint: /^Nothing is pulled with a broken hosts\.toml: it may say not to use the registry itself$/,
    fail: () => parseHostsToml(text, '/h/hosts.toml'),
  };
}

const inHost = (line: string): string => `[host."https://m"]\n${line}\n`;
const many = Array.from({ length: 65 }, (_, n) => `[host."https://m${n}"]\n`).join('');

const TOML: readonly Row[] = [
  toml(/^\/h\/hosts\.toml:1:\d+: /, 'server = '),
  toml(/^\/h\/hosts\.toml:1: host: more than 64 hosts$/, many),
  toml(
    /unknown table; write URLs of hosts in quotes: \[host\."https:\/\/HOST:PORT"\]$/,
    '[host.m]\n[host.m.io]\n',
  ),
  toml(/:1: server: a host is http:\/\/ or https:\/\/$/, 'server = "ftp://m"'),
  toml(/:1: server: not a URL$/, 'server = "https://m:x"'),
  toml(/:1: server: the host is neither a name nor an address$/, 'server = "https://*.m"'),
  toml(
    /:2: host\."https:\/\/m"\.capabilities: must be an array of strings$/,
    inHost('capabilities = "pull"'),
  ),
  toml(
    /unknown capability "pul"; there are pull, resolve, push, referrers$/,
    inHost('capabilities = ["pul"]'),
  ),
  toml(/a pair is \[certificate file, key file\]$/, inHost('client = [["a", "b", "c"]]')),
  toml(/not the name of a header$/, inHost('header = {"a b" = "x"}')),
  toml(/this header is not to be set here$/, inHost('header = {"Host" = "x"}')),
  toml(/a header cannot hold these characters$/, inHost('header = {"x" = "a\\nb"}')),
  toml(/dial_timeout: negative duration -1s$/, inHost('dial_timeout = "-1s"')),
  toml(/dial_timeout: .*1x/, inHost('dial_timeout = "1x"')),
  toml(/reach: must be "private" or "loopback"$/, inHost('reach = "all"')),
  toml(/client: an empty path$/, inHost('client = ""')),
  toml(/host: must be a table$/, 'host = 1'),
  toml(/server: must be a string$/, 'server = 1'),
  toml(/ca: must be a string or an array of strings$/, inHost('ca = 1')),
  toml(/skip_verify: must be true or false$/, inHost('skip_verify = "yes"')),
];

/** A hosts directory `/h` whose hosts.toml for `m` names `ca.crt`, which is this text or absent. */
function certificate(says: RegExp, ca?: string): Row {
  const files: Readonly<Record<string, string | undefined>> = {
    '/h/m/hosts.toml': 'ca = "ca.crt"',
    '/h/m/ca.crt': ca,
  };
  const fs = {
    list: async () => [],
    readFile: async (path: string) => {
      const text = files[path];
      if (text === undefined) throw new HawserError('NotFound', `no such file: ${path}`);
      return new TextEncoder().encode(text);
    },
  };
  const hosts = hostsFromDirs({ fs, warn: () => {} }, { dir: '/h' });
  return {
    says,
    hint: /^Mend the file, or take away what names it; nothing is pulled meanwhile$/,
    fail: () => hosts({ host: 'm' } as Reference, {}),
  };
}

const absent = {
  list: async (): Promise<never> => {
    throw new HawserError('NotFound', 'no such directory: /h');
  },
  readFile: async () => new Uint8Array(),
};

export const SETTINGS: readonly Row[] = [
  ...AUTH_FILES,
  ...HELPERS,
  ...LOGINS,
  ...TOML,
  certificate(/^\/h\/m\/hosts\.toml:1: ca: no such file: \/h\/m\/ca\.crt$/),
  certificate(/^\/h\/m\/hosts\.toml:1: ca: \/h\/m\/ca\.crt holds no certificate in PEM form$/, 'x'),
  {
    says: /^Cannot use the hosts directory \/h: no such directory: \/h$/,
    hint: /^Give an existing directory to --hosts-dir, or leave it away$/,
    fail: () => hostsFromDirs({ fs: absent, warn: () => {} }, { dir: '/h' })({ host: 'm' } as Reference, {}),
  },
  {
    says: /^HTTP_PROXY is not the URL of an HTTP or SOCKS5 proxy$/,
    hint: /^Write it as http:\/\/HOST:PORT, https:\/\/HOST:PORT or socks5:\/\/HOST:PORT, or unset HTTP_PROXY$/,
    fail: () =>
      proxiesOf((name) => (name === 'HTTP_PROXY' ? 'ftp://me:hunter2@p' : undefined))?.(new URL('http://m/')),
  },
];
