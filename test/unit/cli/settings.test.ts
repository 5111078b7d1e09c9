/** hawser.toml, variables and the command line: which goes first, what is refused, whose file is read. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, lchownSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Parser } from 'yargs/helpers';
import { GRAMMAR } from '../../../src/cli/commands/index.ts';
import { directWords } from '../../../src/cli/grammar/command.ts';
import { EXIT_CODES, TOPICS } from '../../../src/cli/grammar/facts.ts';
import { ADDRESS, ROOT } from '../../../src/cli/grammar/flags.ts';
import { parseCommandLine } from '../../../src/cli/grammar/parse.ts';
import { LIMIT_RATE } from '../../../src/cli/grammar/registry-flags.ts';
import { SETTINGS } from '../../../src/cli/grammar/settings.ts';
import { run } from '../../../src/cli/run.ts';
import { containerdAddress } from '../../../src/cli/session/context.ts';
import type { Services } from '../../../src/cli/session/services.ts';
import { settingsFiles, valuesOf } from '../../../src/cli/session/settings.ts';
import { HawserError, hintOf, kindOf, messageOf } from '../../../src/core/errors.ts';
import type { HostSystem } from '../../../src/core/ports/host.ts';
import { workerUrl } from '../../../src/entry/worker-url.ts';
import { composeRuntime } from '../../../src/platform/compose.ts';
import { needs } from '../../support/needs.ts';
import { parts } from '../../support/this-runtime.ts';
import { tempDir } from '../../support/tmp.ts';
import { fakeRuntime } from './fake-runtime.ts';

const FILE = '/etc/hawser/hawser.toml';

async function go(
  args: readonly string[],
  opts: { readonly files?: Record<string, string>; readonly env?: Record<string, string> } = {},
): Promise<{ code: number; out: string; err: string }> {
  const fake = fakeRuntime({ env: {}, ...opts });
  const code = await run(fake.runtime, args, {} as Services);
  return { code, out: fake.out(), err: fake.err() };
}

async function value(
  key: string,
  args: readonly string[],
  opts: Parameters<typeof go>[1],
): Promise<[unknown, unknown]> {
  const { out, err } = await go(['settings', '--json', ...args], opts);
  assert.equal(err, '');
  const row = (JSON.parse(out).settings as Record<string, unknown>[]).find((one) => one.key === key);
  return [row?.value, row?.from];
}

test('settings: the command line goes before variables, these before the files, and each says where it is from', async () => {
  const files = { [FILE]: 'root = "/system"\nprogress = "plain"\n[limits]\n\nlimit-rate = "1M"\njobs = 3\n' };
  assert.deepEqual(await value('root', [], {}), [null, 'default']);
  assert.deepEqual(await value('limits.limit-rate', [], { files }), [
    '1M',
    `limits.limit-rate (line 5 of ${FILE})`,
  ]);
  const env = { HAWSER_LIMIT_RATE: '2M', HAWSER_ROOT: '/mine' };
  assert.deepEqual(await value('limits.limit-rate', [], { files, env }), ['2M', 'HAWSER_LIMIT_RATE']);
  assert.deepEqual(await value('root', [], { files, env }), ['/mine', 'HAWSER_ROOT']);
  assert.deepEqual(await value('limits.limit-rate', ['--limit-rate', '3M'], { files, env }), [
    '3M',
    '--limit-rate',
  ]);
  const own = { ...files, '/own.toml': 'root = "/own"' };
  assert.deepEqual(await value('root', ['--config', '/own.toml'], { files: own }), [
    '/own',
    'root (line 1 of /own.toml)',
  ]);
  assert.deepEqual(await value('progress', ['--config', '/own.toml'], { files: own }), [null, 'default']);
  assert.deepEqual(await value('progress', ['--config=none'], { files }), [null, 'default']);
  assert.deepEqual(await value('progress', [], { files: own, env: { HAWSER_CONFIG: '/own.toml' } }), [
    null,
    'default',
  ]);
  const { out } = await go(['settings'], { files });
  assert.match(
    out,
    /^\/etc\/hawser\/hawser\.toml: read\nSETTING +VALUE +FROM\nroot +\/system +root \(line 1 of /,
  );
});

for (const [text, told] of [
  ['rooot = "/x"', `rooot (line 1 of ${FILE}) is no setting of hawser`],
  ['\n[limits]\nlimit-rat = 1', `limits.limit-rat (line 3 of ${FILE}) is no setting of hawser`],
  ['[limits]\nmax-size = "8M"', `limits.max-size (line 2 of ${FILE}) is no setting of hawser`],
  ['[limit]\njobs = 1', `limit (line 1 of ${FILE}) is no setting of hawser`],
  ['limit-rate = "1M"', `limit-rate (line 1 of ${FILE}) is no setting of hawser`],
  [
    '# x\nlimits.jobs = -1',
    `invalid value "-1" for limits.jobs (line 2 of ${FILE}): want a whole number from 0`,
  ],
  ['root = 5', `root (line 1 of ${FILE}): want a text`],
  ['root = "store"', `root (line 1 of ${FILE}): want an absolute path, not "store"`],
  ['progress = "loud"', `invalid value "loud" for progress (line 1 of ${FILE}): want tty, plain, json, none`],
  ['[policies]\npin = "yes"', `policies.pin (line 2 of ${FILE}): want true or false`],
  [
    '[limits]\nlimit-rate = 0',
    `invalid value "0" for limits.limit-rate (line 2 of ${FILE}): nothing would ever come`,
  ],
  ['root = ', `${FILE}, line 1: `],
] as const) {
  test(`settings: a file that says ${JSON.stringify(text)} is an error of every command, with its place`, async () => {
    const { code, out, err } = await go(['images', 'ls'], { files: { [FILE]: text } });
    assert.deepEqual([code, out], [2, '']);
    assert.ok(err.startsWith(`hawser: ${told}`), err);
  });
}

test('settings: whoever looks for the rules of a store here is told where they are', async () => {
  for (const key of ['max-size', 'max-age', 'limits.keep-last', 'policies.protect']) {
    const { err } = await go(['images', 'ls'], { files: { [FILE]: `${key} = "8M"` } });
    assert.match(err, /is a rule of policy\.toml in the root of the store: see hawser help gc/, key);
  }
  assert.match((await go(['help', 'gc'])).out, /policy\.toml in the root of the store\s+\(max-size/);
});

test('settings: help, the version and --config none need no file', async () => {
  const files = { [FILE]: 'bad' };
  for (const args of [['help'], ['--version'], ['version', '--config', 'none']])
    assert.equal((await go(args, { files })).code, 0, args.join(' '));
});

test('settings: each is a flag of a command, under the same object', () => {
  const all = new Set([
    ...GRAMMAR.globals,
    ...GRAMMAR.commands.filter(({ path }) => path[0] !== 'settings').flatMap(({ flags }) => flags),
  ]);
  assert.deepEqual(
    SETTINGS.filter(({ flag }) => !all.has(flag)).map(({ key }) => key),
    [],
  );
});

test('settings: a flag of the same name that means something else gets no value', () => {
  const values = valuesOf(FILE, '[limits]\nlimit-rate = "1M"');
  assert.ok(values.has(LIMIT_RATE));
  const others = GRAMMAR.commands
    .flatMap(({ flags }) => flags)
    .filter((flag) => flag.name === 'limit-rate' && flag !== LIMIT_RATE);
  assert.ok(others.length > 0);
  assert.deepEqual(
    others.filter((flag) => values.has(flag)),
    [],
  );
});

test('variables: 1 and 0 say yes and no, anything else is told; ours goes before the other tool’s', async () => {
  const parse = (env: Record<string, string>) => {
    const parsed = parseCommandLine(Parser, ['images', 'pull', 'a'], GRAMMAR, (name) => env[name]);
    assert.ok(parsed.type === 'run');
    return parsed.input;
  };
  const pin = SETTINGS.find(({ key }) => key === 'policies.pin')?.flag;
  assert.ok(pin);
  assert.equal(parse({ HAWSER_PIN: '1' }).get(pin), true);
  assert.equal(parse({ HAWSER_PIN: '0' }).get(pin), false);
  assert.equal(parse({ HAWSER_PIN: '' }).get(pin), false);
  assert.throws(() => parse({ HAWSER_PIN: 'yes' }).get(pin), /invalid value "yes" for HAWSER_PIN/);
  const both = parse({ HAWSER_ADDRESS: '/ours', CONTAINERD_ADDRESS: '/theirs' });
  assert.equal(both.get(ADDRESS), '/ours');
});

test('settings: of a store and a containerd the one that is nearer to the user goes first', () => {
  const place = (env: Record<string, string>, text: string, ...args: string[]): string | undefined => {
    const parsed = parseCommandLine(Parser, ['images', 'ls', ...args], GRAMMAR, (name) => env[name]);
    assert.ok(parsed.type === 'run');
    const values = valuesOf(FILE, text);
    const input = parsed.input.with([(flag) => values.get(flag)]);
    const { runtime } = fakeRuntime({ env });
    return containerdAddress({ input, runtime } as unknown as Parameters<typeof containerdAddress>[0]);
  };
  const file = 'address = "/run/c.sock"';
  assert.equal(place({}, file), '/run/c.sock');
  assert.equal(place({ HAWSER_ROOT: '/r' }, file), undefined);
  assert.equal(place({}, file, '--root', '/r'), undefined);
  assert.equal(place({ CONTAINERD_ADDRESS: '/e.sock' }, 'root = "/r"'), '/e.sock');
  assert.equal(place({ CONTAINERD_ADDRESS: '/e.sock' }, '', '--root', '/r'), undefined);
  assert.ok(ROOT);
});

/** A directory with the user's hawser.toml below `.config`, and what hawser makes of it as a user. */
async function usersFile() {
  const dir = tempDir();
  const base = composeRuntime(parts, { workerUrl: workerUrl() });
  const parsed = parseCommandLine(Parser, ['settings'], GRAMMAR, () => undefined);
  assert.ok(parsed.type === 'run');
  const [config, folder] = [join(dir.path, '.config'), join(dir.path, '.config/hawser')];
  const file = join(folder, 'hawser.toml');
  /** `absent`, `read`, or the error; `idMap`: the namespace's /proc/self/uid_map. */
  const state = async (uid: number, variable = 'XDG_CONFIG_HOME', idMap?: string): Promise<string> => {
    const value = variable === 'HOME' ? dir.path : config;
    const env = (name: string): string | undefined => (name === variable ? value : undefined);
    const host: HostSystem = { ...base.host, uid, env };
    const fs: typeof base.fs = new Proxy(base.fs, {
      get: (target, key) => {
        if (key === 'readFile' && idMap !== undefined)
          return async (path: string, ...rest: [number]) =>
            /^\/proc\/self\/[ug]id_map$/.test(path)
              ? new TextEncoder().encode(idMap)
              : await target.readFile(path, ...rest);
        const member = Reflect.get(target, key, target);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
    try {
      const [user] = await settingsFiles({ ...base, fs, host }, parsed.input, {});
      assert.equal(user?.path, file);
      return user.state;
    } catch (err) {
      assert.equal(kindOf(err), 'PermissionDenied');
      assert.match(hintOf(err) ?? '', /--config FILE takes another file, --config none takes no file$/);
      return messageOf(err);
    }
  };
  const write = (): void => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, 'root = "/x"');
    for (const one of [config, folder]) chmodSync(one, 0o755);
    chmodSync(file, 0o644);
  };
  const remove = async (): Promise<void> => {
    await base.workers[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  };
  return { paths: [dir.path, config, folder, file], file, base, state, write, remove };
}

test('settings: a file that somebody else could have written is an error', {
  skip: needs({ root: true }),
}, async (t) => {
  const users = await usersFile();
  t.after(users.remove);
  const { file, base, state } = users;
  const cannot = `Cannot trust the configuration ${file}`;
  assert.equal(await state(0), 'absent');
  users.write();
  const through = (one: string): boolean => one !== file;
  for (const variable of ['XDG_CONFIG_HOME', 'HOME']) {
    assert.equal(await state(0, variable), 'read');
    for (const one of users.paths) {
      chownSync(one, 1000, 1000);
      const owner = through(one) ? 'goes through a directory of user 1000' : 'belongs to user 1000';
      assert.equal(await state(0, variable), `${cannot}: ${file} ${owner}`);
      assert.equal(await state(1000, variable), 'read');
      assert.equal(await state(1001, variable), `${cannot}: ${one} belongs to user 1000`);
      chownSync(one, 0, 0);
      const { mode } = await base.fs.stat(one).then((info) => info ?? assert.fail());
      chmodSync(one, mode | 0o002);
      const writers = through(one)
        ? 'goes through a directory that other users can write to'
        : 'can be written to by other users';
      assert.equal(await state(0, variable), `${cannot}: ${file} ${writers}`);
      chmodSync(one, mode);
    }
    assert.equal(await state(0, variable), 'read');
  }
  // A link of another user would be another file by the time that it is read.
  const other = `${file}.other`;
  renameSync(file, other);
  symlinkSync(other, file);
  assert.equal(await state(0), 'read');
  lchownSync(file, 1000, 1000);
  assert.equal(await state(0), `${cannot}: ${file} goes through a symlink of user 1000`);
});

test('settings: in a user namespace the directories above may belong to a user who is not mapped, the file may not', {
  skip: needs({ root: true }),
}, async (t) => {
  const users = await usersFile();
  t.after(users.remove);
  const { file, state } = users;
  users.write();
  const [all, own] = ['0 0 4294967295\n', '0 1000 1\n'];
  for (const uid of [0, 1000])
    for (const one of users.paths) {
      chownSync(one, 65534, 65534);
      const outside = await state(uid, 'HOME', all);
      assert.match(outside, /^Cannot trust .* (?:a directory of|belongs to) user 65534$/);
      assert.equal(await state(uid, 'HOME', own), one === file ? outside : 'read');
      chownSync(one, 0, 0);
    }
});

test('settings: a file that is there and cannot be read is an error; one that cannot be seen is none', async () => {
  const denied = (path: string) => new HawserError('PermissionDenied', `open ${path}: EACCES`);
  for (const [file, uid] of [
    [FILE, 0],
    ['/home/me/.config/hawser/hawser.toml', 1000],
  ] as const)
    for (const isSeen of [true, false]) {
      const fake = fakeRuntime({ env: { HOME: '/home/me' }, uid, ...(isSeen && { files: { [file]: '' } }) });
      const readFile = async (path: string): Promise<never> => {
        throw path === file ? denied(path) : new HawserError('NotFound', path);
      };
      const stat: typeof fake.runtime.fs.stat = async (path, options) => {
        if (path === file && !isSeen) throw denied(path);
        return await fake.runtime.fs.stat(path, options);
      };
      const runtime = { ...fake.runtime, fs: { ...fake.runtime.fs, readFile, stat } };
      const code = await run(runtime, ['settings'], {} as Services);
      assert.equal(code, isSeen ? 1 : 0, `${file} ${fake.err()}`);
      if (isSeen) assert.match(fake.err(), /^hawser: Cannot use the configuration .*\nhint: .*--config none/);
    }
});

test('settings: where the calls that look at owners are not to be had, the error says so', async () => {
  const home = '/root/.config/hawser/hawser.toml';
  for (const [uid, runs, told] of [
    [0, 'deno', /opening "\/": takes --allow-read\nhint: Run Deno with --allow-read; --config FILE/],
    [
      65534,
      'deno',
      /belongs to user 1000\nhint: Allow Deno to ask who the user is \(--allow-sys=uid\); --config FILE/,
    ],
    [65534, 'node', /belongs to user 1000\nhint: Only root and the user/],
  ] as const) {
    const fake = fakeRuntime({ env: { HOME: '/root' }, uid, files: { [home]: '' } });
    const syscalls = async (): Promise<never> => {
      throw new HawserError('FailedPrecondition', 'opening "/": takes --allow-read', {
        hint: 'Run Deno with --allow-read',
      });
    };
    const fs = {
      ...fake.runtime.fs,
      stat: async () => ({ type: 'file', size: 0, mode: 0o644, uid: 1000, mtime: 0 }),
    };
    const host = { ...fake.runtime.host, runtime: runs };
    const runtime = { ...fake.runtime, host, fs, syscalls } as unknown as typeof fake.runtime;
    assert.equal(await run(runtime, ['settings'], {} as Services), 1);
    assert.match(fake.err(), told);
  }
});

test('help: each word that is a command is under one topic', () => {
  const words = directWords(GRAMMAR).map(([word]) => word);
  const named = TOPICS.flatMap(([, list]) => list);
  assert.deepEqual(
    words.filter((word) => named.filter((one) => one === word).length !== 1),
    [],
  );
  assert.deepEqual(
    named.filter((word) => !words.includes(word)),
    [],
  );
  assert.ok(EXIT_CODES.length > 5);
});

test('config show is told where the configuration is shown', async () => {
  const { code, err } = await go(['config', 'show']);
  assert.equal(code, 2);
  assert.match(err, /hint: hawser settings shows the configuration of hawser/);
});
