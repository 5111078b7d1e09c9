/** Credentials as Docker and podman keep them (spec/remote.md 4.7), and who they are for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HawserError, kindOf } from '../../../src/core/errors.ts';
import type { ProgramResult } from '../../../src/core/ports/programs.ts';
import type { Credential } from '../../../src/core/registry/credentials/credential.ts';
import { storedCredentials } from '../../../src/core/registry/credentials/sources.ts';

const HUB = 'https://index.docker.io/v1/';
const auth = (text: string) => ({ auth: btoa(text) });

interface Machine {
  readonly env?: Readonly<Record<string, string>>;
  /** Texts, documents, or what reading them throws. */
  readonly files?: Readonly<Record<string, unknown>>;
  /** What a helper answers. Not given: there is none. */
  readonly helper?: (name: string, server: string) => Partial<ProgramResult> | Error;
}

interface Found {
  readonly credential: Credential | undefined;
  readonly warnings: readonly string[];
  readonly ran: readonly string[];
}

async function look(machine: Machine, host: string, repository = 'a/b'): Promise<Found> {
  const [warnings, ran]: [string[], string[]] = [[], []];
  const absent = (what: string) => new HawserError('NotFound', `${what} is not there`);
  const credentials = storedCredentials({
    env: (name) => ({ HOME: '/home', ...machine.env })[name],
    uid: 1000,
    warn: (message) => warnings.push(message),
    fs: {
      readFile: async (path: string) => {
        const found = machine.files?.[path];
        if (found === undefined) throw absent(path);
        if (found instanceof Error) throw found;
        return new TextEncoder().encode(typeof found === 'string' ? found : JSON.stringify(found));
      },
    } as never,
    programs: {
      run: async (name, args, { input }) => {
        ran.push([name, ...args, input].join(' '));
        const answer = machine.helper?.(name, input) ?? absent(name);
        if (answer instanceof Error) throw answer;
        return { code: 0, stdout: '', stderr: '', ...answer };
      },
    },
  });
  return { credential: await credentials(host, repository, {}), warnings, ran };
}

const docker = (document: unknown): Machine => ({ files: { '/home/.docker/config.json': document } });
const podman = (document: unknown): Machine => ({
  files: { '/home/.config/containers/auth.json': document },
});
const user = ({ credential }: Found): string | undefined =>
  credential !== undefined && 'username' in credential ? credential.username : undefined;

test('auths: user and password, in each of their forms', async () => {
  const source = '/home/.docker/config.json';
  const forms: readonly (readonly [unknown, object | undefined])[] = [
    [auth('me:se:cret'), { username: 'me', secret: 'se:cret' }],
    [auth('me:pw\0\0'), { username: 'me', secret: 'pw' }],
    [{ auth: 'bcOkOnDDvA==' }, { username: 'm\u00e4', secret: 'p\u00fc' }],
    [
      { username: 'me', password: 'pw' },
      { username: 'me', secret: 'pw' },
    ],
    [{ ...auth('me:pw'), identitytoken: 'id' }, { refreshToken: 'id' }],
    [{ registrytoken: 'reg' }, { registryToken: 'reg' }],
    [{}, undefined],
  ];
  for (const [entry, expected] of forms) {
    const { credential } = await look(docker({ auths: { 'reg.io': entry } }), 'reg.io');
    assert.deepEqual(credential, expected && { source, ...expected }, JSON.stringify(entry));
  }
});

const KEYS: readonly (readonly [readonly string[], string, string | undefined])[] = [
  [['reg.io'], 'reg.io', 'reg.io'],
  [['https://reg.io'], 'reg.io', 'https://reg.io'],
  [['https://reg.io/v1/'], 'reg.io', 'https://reg.io/v1/'],
  [['https://reg.io/v2/ns'], 'reg.io', 'https://reg.io/v2/ns'],
  [['https://reg.io/some/path', 'reg.io/other'], 'reg.io', 'https://reg.io/some/path'],
  [['http://reg.io/v2/'], 'reg.io', 'http://reg.io/v2/'],
  [['https://reg.io', 'reg.io'], 'reg.io', 'reg.io'],
  [['reg.io:5000'], 'reg.io:5000', 'reg.io:5000'],
  // H8: exactly this host, no other that looks like it.
  [['reg.io:5000'], 'reg.io', undefined],
  [['reg.io'], 'reg.io:5000', undefined],
  [['io', 'eg.io', 'reg.io.evil.test', 'a.reg.io', '*.io'], 'reg.io', undefined],
  [['https://evil.test/reg.io', 'https://evil.test?reg.io', 'https://reg.io@evil.test'], 'reg.io', undefined],
  [['reg.io'], 'evil.test', undefined],
  [['__proto__', 'constructor'], 'reg.io', undefined],
  [[HUB], 'docker.io', HUB],
  [[HUB], 'registry-1.docker.io', HUB],
  [['docker.io'], 'docker.io', 'docker.io'],
  [['index.docker.io'], 'docker.io', 'index.docker.io'],
  [[HUB], 'reg.io', undefined],
  // podman's: the most specific wins.
  [['reg.io', 'reg.io/a', 'reg.io/a/b'], 'reg.io', 'reg.io/a/b'],
  [['reg.io', 'reg.io/a', 'reg.io/x'], 'reg.io', 'reg.io/a'],
  [['reg.io/x', 'reg.io/a/bc', 'reg.io/a/b/c'], 'reg.io', undefined],
  [['docker.io/a/b', HUB], 'docker.io', 'docker.io/a/b'],
];
for (const [keys, host, expected] of KEYS) {
  test(`auths: of ${keys.join(' ')} ${expected ?? 'none'} is for ${host}/a/b`, async () => {
    const auths = Object.fromEntries(keys.map((key) => [key, { username: key, password: 'x' }]));
    assert.equal(user(await look(docker({ auths }), host)), expected);
    assert.equal(user(await look(podman({ auths }), host)), expected);
  });
}

test('the places, in order; each only when it has something for the host', async () => {
  const entry = (name: string, key = 'reg.io') => ({ auths: { [key]: { username: name, password: 'x' } } });
  const env = {
    DOCKER_AUTH_CONFIG: JSON.stringify(entry('variable', 'other.io')),
    REGISTRY_AUTH_FILE: '/named',
    DOCKER_CONFIG: '/dc',
    XDG_RUNTIME_DIR: '/run/user/1',
    XDG_CONFIG_HOME: '/xc',
  };
  const places = [
    '/named',
    '/dc/config.json',
    '/run/user/1/containers/auth.json',
    '/xc/containers/auth.json',
  ];
  for (let first = 0; first < places.length; first++) {
    const files = Object.fromEntries(
      places.map((path, at) => [path, at < first ? entry('no', 'other.io') : entry(path)]),
    );
    assert.equal(user(await look({ env, files }, 'reg.io')), places[first]);
    assert.equal(user(await look({ env, files }, 'other.io')), 'variable');
  }
  const home = { '/home/.docker/config.json': entry('d'), '/home/.config/containers/auth.json': entry('p') };
  assert.equal(user(await look({ files: home }, 'reg.io')), 'd');
  const runtime = {
    '/run/containers/1000/auth.json': entry('r'),
    '/home/.config/containers/auth.json': entry('p'),
  };
  assert.equal(user(await look({ files: runtime }, 'reg.io')), 'r');
  assert.equal(user(await look({ files: runtime, env: { XDG_RUNTIME_DIR: '/x' } }, 'reg.io')), 'p');
  const old = { '/home/.dockercfg': { 'https://reg.io/v1/': { username: 'old', password: 'x' } } };
  assert.equal(user(await look({ files: old }, 'reg.io')), 'old');
  assert.equal(user(await look({ files: { ...old, ...home } }, 'reg.io')), 'd', 'the new files come first');
  await assert.rejects(look({ files: { '/home/.dockercfg': '{' } }, 'reg.io'), /\.dockercfg: it is not JSON/);
  assert.equal((await look({}, 'reg.io')).credential, undefined);
  assert.equal((await look({ env: { HOME: '' } }, 'reg.io')).credential, undefined);
});

test('a file that may not be read is told of; one that REGISTRY_AUTH_FILE names must be there', async () => {
  const denied = new HawserError('PermissionDenied', 'no');
  const { credential, warnings } = await look({ files: { '/home/.docker/config.json': denied } }, 'reg.io');
  assert.equal(credential, undefined);
  assert.equal(warnings.length, 1);
  const env = { REGISTRY_AUTH_FILE: '/named' };
  await assert.rejects(look({ env }, 'reg.io'), (err) => kindOf(err) === 'NotFound');
  await assert.rejects(
    look({ env, files: { '/named': denied } }, 'reg.io'),
    (err) => kindOf(err) === 'PermissionDenied',
  );
});

const BROKEN: readonly (readonly [unknown, RegExp])[] = [
  ['{', /it is not JSON/],
  ['[]', /it is not a JSON object/],
  [{ auths: [] }, /"auths" is not an object/],
  [{ credHelpers: 5 }, /"credHelpers" is not an object/],
  [{ credsStore: 5 }, /"credsStore" is not a string/],
  [{ auths: { 'reg.io': 'x' } }, /auths\["reg.io"\] is not an object/],
  [{ auths: { 'reg.io': { auth: '!' } } }, /auths\["reg.io"\]: "auth" is not base64/],
  [{ auths: { 'reg.io': auth('hunter2') } }, /"auth" is not USER:PASSWORD/],
  [{ auths: { 'reg.io': auth(':hunter2') } }, /"auth" is not USER:PASSWORD/],
  [{ auths: { 'reg.io': { password: 'hunter2' } } }, /a password without a user/],
  [{ credsStore: '../hunter2' }, /credsStore is not the name of a helper/],
  [{ credHelpers: { 'reg.io': 'a b' } }, /credHelpers\["reg.io"\] is not the name of a helper/],
];
for (const [document, message] of BROKEN) {
  test(`a broken file is an error, not anonymous: ${JSON.stringify(document)} (H8)`, async () => {
    await assert.rejects(look(docker(document), 'reg.io'), (err: Error) => {
      assert.equal(kindOf(err), 'InvalidArgument');
      assert.match(err.message, /^Cannot use the credentials in \/home\/\.docker\/config\.json: /);
      assert.match(err.message, message);
      assert.doesNotMatch(err.message, /hunter2/);
      return true;
    });
  });
}

test('a broken entry of another host does not matter', async () => {
  const auths = { 'other.io': { auth: '!' }, 'reg.io': auth('me:pw') };
  assert.equal(user(await look(docker({ auths }), 'reg.io')), 'me');
});

const told = (answer: object): Partial<ProgramResult> => ({ stdout: JSON.stringify(answer) });
const me = () => told({ ServerURL: '', Username: 'me', Secret: 'pw' });

test('helpers: which one, and what it is asked', async () => {
  const machine = {
    ...docker({
      credsStore: 'store',
      credHelpers: { 'ecr.io': 'ecr-login', 'docker.io': 'hub' },
      auths: { 'reg.io': auth('no:no') },
    }),
    helper: me,
  };
  assert.deepEqual((await look(machine, 'reg.io')).ran, ['docker-credential-store get reg.io']);
  assert.deepEqual((await look(machine, 'ecr.io')).ran, ['docker-credential-ecr-login get ecr.io']);
  assert.deepEqual((await look(machine, 'docker.io')).ran, [`docker-credential-hub get ${HUB}`]);
  const { credential } = await look(machine, 'reg.io');
  assert.deepEqual(credential, { source: 'docker-credential-store', username: 'me', secret: 'pw' });
});

test('helpers: <token> means an identity token; nothing known leads on', async () => {
  const config = docker({ credsStore: 'x', auths: { 'reg.io': auth('not:this') } });
  const token = { ...config, helper: () => told({ Username: '<token>', Secret: 'id' }) };
  assert.deepEqual((await look(token, 'reg.io')).credential, {
    source: 'docker-credential-x',
    refreshToken: 'id',
  });
  const none = 'credentials not found in native keychain\n';
  const files = {
    ...config.files,
    '/home/.config/containers/auth.json': { auths: { 'reg.io': auth('pod:man') } },
  };
  for (const answer of [
    { code: 1, stdout: none },
    { code: 1, stderr: none },
    told({ Username: '', Secret: '' }),
  ]) {
    assert.equal(user(await look({ files, helper: () => answer }, 'reg.io')), 'pod');
  }
});

const FAILING: readonly (readonly [string, NonNullable<Machine['helper']>, RegExp, string])[] = [
  ['exit 1', () => ({ code: 1, stdout: 'no keyring\n' }), /exit 1: no keyring$/, 'FailedPrecondition'],
  ['killed', () => ({ code: undefined as never }), /it was killed/, 'FailedPrecondition'],
  [
    'not JSON',
    () => ({ stdout: 'hunter2' }),
    /its answer is not what the protocol says/,
    'FailedPrecondition',
  ],
  ['null', () => ({ stdout: 'null' }), /its answer is not what/, 'FailedPrecondition'],
  [
    'wrong types',
    () => told({ Username: 5, Secret: 'hunter2' }),
    /its answer is not what/,
    'FailedPrecondition',
  ],
  [
    'another host',
    () => told({ ServerURL: HUB, Username: 'me', Secret: 'hunter2' }),
    /it answered for https:\/\/index\.docker\.io/,
    'FailedPrecondition',
  ],
  ['absent', () => new HawserError('NotFound', 'x is not in PATH'), /x is not in PATH/, 'FailedPrecondition'],
  ['too slow', () => new HawserError('DeadlineExceeded', 'it took too long'), /too long/, 'DeadlineExceeded'],
];
for (const [name, helper, message, kind] of FAILING) {
  test(`a helper that fails is an error, not anonymous: ${name} (H8)`, async () => {
    const machine = { ...docker({ credsStore: 'x', auths: { 'reg.io': auth('not:this') } }), helper };
    await assert.rejects(look(machine, 'reg.io'), (err: Error) => {
      assert.equal(kindOf(err), kind);
      assert.match(
        err.message,
        /^Cannot get credentials for reg\.io from docker-credential-x \(named in \/home/,
      );
      assert.match(err.message, message);
      assert.doesNotMatch(err.message, /hunter2/);
      return true;
    });
  });
}
