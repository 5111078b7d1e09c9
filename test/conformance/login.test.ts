/** `login` and `logout`: only what the registry takes is kept, where is said, and other tools and hawser find it there. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { main } from '../../src/cli/main.ts';
import { workerUrl } from '../../src/entry/worker-url.ts';
import { composeRuntime } from '../../src/platform/compose.ts';
import type { AuthMode } from '../registry/auth.ts';
import { buildImage } from '../registry/image.ts';
import { startRegistry } from '../registry/registry.ts';
import { collector } from '../support/command-line.ts';
import { checkPrinted } from '../support/json-schema.ts';
import { parts } from '../support/this-runtime.ts';
import { tempDir } from '../support/tmp.ts';

let dir: ReturnType<typeof tempDir>;
before(() => {
  dir = tempDir();
});
after(() => dir[Symbol.dispose]());

let count = 0;
/** A fresh home of a user, with this config.json. */
function home(document?: unknown): string {
  const path = join(dir.path, `home${++count}`);
  mkdirSync(path);
  if (document !== undefined) {
    mkdirSync(join(path, '.docker'));
    writeFileSync(file(path), JSON.stringify(document));
  }
  return path;
}
const file = (of: string): string => join(of, '.docker/config.json');
const read = (of: string): Record<string, unknown> => JSON.parse(readFileSync(file(of), 'utf8'));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function hawser(
  of: string,
  args: readonly string[],
  password = 'secret',
  more: Readonly<Record<string, string>> = {},
  user?: string,
): Promise<Ran> {
  const base = composeRuntime(parts, { workerUrl: workerUrl() });
  const [stdout, stderr] = [collector(), collector()];
  const path = `${dir.path}:/usr/bin:/bin`;
  const env = (name: string): string | undefined => ({ HOME: of, PATH: path, ...more })[name];
  const onInterrupt = (): Disposable => ({ [Symbol.dispose]: () => {} });
  const programs: typeof base.programs = {
    run: (name, given, how) =>
      base.programs.run(name.startsWith('/') ? name : join(dir.path, name), given, how),
  };
  // With a user who types the name, too, standard input is a terminal.
  const readLine = async ({ silent = false } = {}) => (silent || user === undefined ? password : user);
  const stdinIsTerminal = user !== undefined;
  const host = { ...base.host, env, stdout, stderr, onInterrupt, stdinIsTerminal, readLine };
  const code = await main({ ...base, host, programs }, ['--root', join(dir.path, 'root'), ...args]);
  await base.workers[Symbol.asyncDispose]();
  checkPrinted(args, { stdout: stdout.text(), stderr: stderr.text() });
  return { code, out: stdout.text(), err: stderr.text() };
}

const image = await buildImage({ layers: [] });
const LOGIN = ['login', '--user', 'me', '--password-stdin'];

/** A helper that keeps what it gets in a file. */
function makeHelper(name: string): string {
  const kept = join(dir.path, `${name}.kept`);
  const script = join(dir.path, `docker-credential-${name}`);
  writeFileSync(
    script,
    `#!/bin/sh
case "$1" in
store) cat > ${kept};;
get) [ -f ${kept} ] && cat ${kept} || { echo "credentials not found in native keychain"; exit 1; };;
erase) rm -f ${kept};;
esac
`,
  );
  chmodSync(script, 0o755);
  return kept;
}

for (const auth of [
  { mode: 'basic', user: 'me', pass: 'secret' },
  { mode: 'bearer', user: 'me', pass: 'secret' },
] as const satisfies readonly AuthMode[]) {
  test(`login (${auth.mode}): a wrong password is not kept, a right one is, and pulls find it until logout`, async () => {
    const registry = await startRegistry({ auth });
    try {
      const ref = registry.push('a/b', 'v1', image);
      const of = home({ auths: { 'other.test': { auth: 'eDp5' } }, currentContext: 'x' });
      const wrong = await hawser(of, [...LOGIN, registry.host], 'nonsense');
      assert.equal(wrong.code, 1, wrong.err);
      assert.doesNotMatch(wrong.err + wrong.out, /nonsense/);
      assert.deepEqual(Object.keys(read(of).auths as object), ['other.test']);
      assert.equal((await hawser(of, ['resolve', ref])).code, 1);
      const right = await hawser(of, [...LOGIN, registry.host]);
      assert.deepEqual(
        [right.code, right.out],
        [0, `logged in to ${registry.host} as me, kept in ${file(of)}\n`],
        right.err,
      );
      assert.match(right.err, /^warning: the password is in .*config\.json as it is/);
      assert.doesNotMatch(right.err + right.out, /secret(?!service)/);
      const { auths, currentContext } = read(of) as {
        auths: Record<string, unknown>;
        currentContext: string;
      };
      assert.deepEqual(auths, {
        'other.test': { auth: 'eDp5' },
        [registry.host]: { auth: btoa('me:secret') },
      });
      assert.equal(currentContext, 'x');
      assert.equal(statSync(file(of)).mode & 0o777, 0o600);
      assert.deepEqual(readdirSync(join(of, '.docker')), ['config.json']);
      assert.equal((await hawser(of, ['resolve', ref])).code, 0);
      const out = await hawser(of, ['logout', '--json', registry.host]);
      assert.deepEqual(JSON.parse(out.out), { v: 1, type: 'logout', host: registry.host, place: file(of) });
      assert.equal((await hawser(of, ['resolve', ref])).code, 1);
      assert.match((await hawser(of, ['logout', registry.host])).out, /^no credentials were kept for/);
    } finally {
      await registry.close();
    }
  });
}

test('login: a helper keeps the password, and the file has none of it; a plain entry of before goes', async () => {
  const registry = await startRegistry({ auth: { mode: 'basic', user: 'me', pass: 'secret' } });
  try {
    const kept = makeHelper('mine');
    const of = home({ auths: { [registry.host]: { auth: btoa('me:old') } } });
    const { code, out, err } = await hawser(of, [...LOGIN, '--helper', 'mine', '--json', registry.host]);
    assert.deepEqual([code, err], [0, '']);
    assert.equal(JSON.parse(out).place, 'docker-credential-mine');
    assert.deepEqual(read(of), { auths: {}, credHelpers: { [registry.host]: 'mine' } });
    assert.deepEqual(JSON.parse(readFileSync(kept, 'utf8')), {
      ServerURL: registry.host,
      Username: 'me',
      Secret: 'secret',
    });
    const ref = registry.push('a/b', 'v1', image);
    assert.equal((await hawser(of, ['resolve', ref])).code, 0);
    assert.match((await hawser(of, ['logout', registry.host])).out, /removed from docker-credential-mine/);
    assert.equal(existsSync(kept), false);
  } finally {
    await registry.close();
  }
});

test('login: a helper that the file names for all (credsStore): a plain entry of before goes, too', async () => {
  const registry = await startRegistry({ auth: { mode: 'basic', user: 'me', pass: 'secret' } });
  try {
    makeHelper('all');
    const of = home({ auths: { [registry.host]: { auth: btoa('me:old') } }, credsStore: 'all' });
    const { code, err } = await hawser(of, [...LOGIN, registry.host]);
    assert.equal(code, 0, err);
    assert.deepEqual(read(of), { auths: {}, credsStore: 'all' });
  } finally {
    await registry.close();
  }
});

test('login and logout: what goes before is told, and what cannot be looked at elsewhere is a warning', async () => {
  const registry = await startRegistry({ auth: { mode: 'basic', user: 'me', pass: 'secret' } });
  try {
    const { host } = registry;
    const of = home();
    const other = join(dir.path, 'other.json');
    const entry = JSON.stringify({ auths: { [host]: { auth: btoa('me:old') } } });
    writeFileSync(other, entry);
    const told = async (more: Readonly<Record<string, string>>): Promise<string> => {
      const { code, err } = await hawser(of, [...LOGIN, host], 'secret', more);
      assert.equal(code, 0, err);
      return err.split('\n').slice(1).join('\n');
    };
    const line = (what: string): string =>
      `warning: ${what} speaks of ${host}, too, and goes before what was kept\n`;
    assert.equal(await told({ DOCKER_AUTH_CONFIG: entry }), line('DOCKER_AUTH_CONFIG'));
    assert.equal(await told({ REGISTRY_AUTH_FILE: other }), line(`REGISTRY_AUTH_FILE (${other})`));
    assert.equal(await told({ REGISTRY_AUTH_FILE: file(of) }), '');
    assert.equal(await told({ DOCKER_AUTH_CONFIG: '{}' }), '');
    assert.match(
      await told({ DOCKER_AUTH_CONFIG: '{' }),
      /^warning: cannot tell what goes before .*it is not JSON/,
    );
    const out = await hawser(of, ['logout', host], '', { DOCKER_AUTH_CONFIG: '{' });
    assert.deepEqual([out.code, out.out], [0, `logged out of ${host}: removed from ${file(of)}\n`]);
    assert.match(
      out.err,
      /^warning: cannot tell whether credentials for .* are still found elsewhere: .*it is not JSON/,
    );
  } finally {
    await registry.close();
  }
});

test('login: what a registry does not check is told; a failing helper and a symlink leave the file as it was', async () => {
  const registry = await startRegistry();
  try {
    const of = home();
    const { code, err } = await hawser(of, [...LOGIN, registry.host]);
    assert.equal(code, 0, err);
    assert.match(err, /asked for no credentials: they are kept without a check/);
    const broken = home({ credsStore: 'absent' });
    const failed = await hawser(broken, [...LOGIN, registry.host]);
    assert.equal(failed.code, 1);
    assert.match(failed.err, /Cannot store the credentials with docker-credential-absent/);
    assert.deepEqual(read(broken), { credsStore: 'absent' });
    const linked = home();
    mkdirSync(join(linked, '.docker'));
    symlinkSync(file(of), file(linked));
    const refused = await hawser(linked, [...LOGIN, registry.host]);
    assert.match(refused.err, /it is a symlink/);
    const garbage = home('text');
    assert.match((await hawser(garbage, [...LOGIN, registry.host])).err, /it is not a JSON object/);
    assert.equal((await hawser(of, ['login', registry.host])).code, 1);
  } finally {
    await registry.close();
  }
});

test('login: on a terminal asks for the user and the password; without a user it keeps nothing', async () => {
  const registry = await startRegistry({ auth: { mode: 'basic', user: 'me', pass: 'secret' } });
  try {
    const of = home();
    const none = await hawser(of, ['login', registry.host], 'secret', {}, '');
    assert.equal(none.code, 1);
    assert.match(none.err, /^Username: hawser: login needs a user\nhint: hawser login --user NAME HOST /);
    assert.equal(existsSync(file(of)), false);
    const asked = await hawser(of, ['login', registry.host], 'secret', {}, 'me');
    assert.equal(asked.code, 0, asked.err);
    assert.match(asked.err, /^Username: Password: /);
    assert.match(asked.out, /logged in to \S+ as me/);
    const piped = await hawser(home(), ['login', registry.host]);
    assert.match(piped.err, /^hawser: login needs a user$/m);
  } finally {
    await registry.close();
  }
});
