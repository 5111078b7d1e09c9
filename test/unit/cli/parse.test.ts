import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Parser } from 'yargs/helpers';
import { GRAMMAR } from '../../../src/cli/commands/index.ts';
import { type AnyFlag, bool } from '../../../src/cli/grammar/flag.ts';
import { ADDRESS, LABEL, NAMESPACE, PLATFORM, ROOT, SNAPSHOTTER } from '../../../src/cli/grammar/flags.ts';
import type { Input } from '../../../src/cli/grammar/input.ts';
import { parseCommandLine } from '../../../src/cli/grammar/parse.ts';
import { NETWORK_FLAGS, PLAIN_HTTP, USER } from '../../../src/cli/grammar/registry-flags.ts';
import { isUsageError } from '../../../src/cli/grammar/usage-error.ts';
import { hintOf, messageOf } from '../../../src/core/errors.ts';

function parse(line: string | readonly string[], env: Record<string, string> = {}) {
  const args = typeof line === 'string' ? line.split(' ').filter((word) => word !== '') : line;
  return parseCommandLine(Parser, args, GRAMMAR, (name) => env[name]);
}

function inputOf(line: string | readonly string[], env: Record<string, string> = {}): Input<string> {
  const parsed = parse(line, env);
  assert.equal(parsed.type, 'run');
  return parsed.type === 'run' ? parsed.input : assert.fail();
}

const LOCAL = bool({ name: 'local', describe: '' });

function pathOf(line: string): string {
  const parsed = parse(line);
  return parsed.type === 'run' ? parsed.command.path.join(' ') : parsed.type;
}

test('parse: commands by their names, aliases and short forms', () => {
  const vectors: [string, string][] = [
    ['images pull x', 'images pull'],
    ['image pull x', 'images pull'],
    ['i pull x', 'images pull'],
    ['pull x', 'images pull'],
    ['content fetch x', 'content fetch'],
    ['fetch x', 'content fetch'],
    ['content fetch-object x', 'content fetch-object'],
    ['content fetch-blob x y z', 'content fetch-blob'],
    ['images ls', 'images list'],
    ['images list', 'images list'],
    ['images rm x', 'images delete'],
    ['images del x', 'images delete'],
    ['images remove x', 'images delete'],
    ['images delete x y', 'images delete'],
    ['images i x', 'images inspect'],
    ['images check', 'images check'],
    ['images usage x', 'images usage'],
    ['images mount x /mnt', 'images mount'],
    ['images unmount /mnt', 'images unmount'],
    ['content ls', 'content list'],
    ['content get x', 'content get'],
    ['content info x', 'content info'],
    ['snapshot ls', 'snapshots list'],
    ['snapshots info k', 'snapshots info'],
    ['snapshots tree', 'snapshots tree'],
    ['snapshots m /t k', 'snapshots mounts'],
    ['snapshots mount /t k', 'snapshots mounts'],
    ['snapshots usage', 'snapshots usage'],
    ['version', 'version'],
    ['--version', 'version'],
    ['-v', 'version'],
    ['', 'help'],
    ['help', 'help'],
    ['-h', 'help'],
    ['images', 'help'],
    ['images help', 'help'],
    ['help images pull', 'help'],
    ['images pull --help', 'help'],
  ];
  for (const [line, want] of vectors) assert.equal(pathOf(line), want, line);
});

/** A command line that uses a flag of a command. */
function using(
  flag: AnyFlag,
  form: (flag: AnyFlag) => string[],
  path: readonly string[],
  args: readonly string[],
) {
  return inputOf([...path, ...args.filter((arg) => arg.startsWith('<')).map(() => 'x'), ...form(flag)]);
}

test('parse: every flag of every command, by name and by alias, with one dash and two, with = and without', () => {
  for (const command of GRAMMAR.commands) {
    for (const flag of [...command.flags, ...GRAMMAR.globals]) {
      // -a of docker stands for all: after it, only what can be a socket is the address.
      const plain = flag.name === 'address' ? '/7' : '7';
      const value = flag.choices?.[0] ?? (flag.type === 'duration' ? '7ms' : plain);
      const forms =
        flag.type === 'bool'
          ? [
              `--${flag.name}`,
              `-${flag.name}`,
              `--${flag.name}=true`,
              ...(flag.alias ? [`-${flag.alias}`] : []),
            ].map((word) => [word])
          : [
              [`--${flag.name}`, value],
              [`-${flag.name}`, value],
              [`--${flag.name}=${value}`],
              ...(flag.alias ? [[`-${flag.alias}`, value], [`-${flag.alias}=${value}`]] : []),
            ];
      for (const form of forms) {
        const input = using(flag, () => form, command.path, command.args);
        const where = `${command.path.join(' ')} ${form.join(' ')}`;
        if (flag.type === 'bool') assert.equal(input.get(flag), true, where);
        else if (['count', 'duration', 'size'].includes(flag.type)) assert.equal(input.get(flag), 7, where);
        else if (flag.type === 'list') assert.deepEqual(input.get(flag), [value], where);
        else assert.equal(input.get(flag), value, where);
      }
    }
  }
});

test('parse: a flag has one type and one alias in all commands', () => {
  const seen = new Map<string, string>();
  for (const flag of [...GRAMMAR.globals, ...GRAMMAR.commands.flatMap((one) => one.flags)]) {
    const form = `${flag.type} ${flag.alias}`;
    assert.equal(seen.get(flag.name) ?? form, form, flag.name);
    seen.set(flag.name, form);
  }
});

test('parse: the flags of ctr images pull and content fetch are all there', () => {
  const names = (path: string) =>
    new Set(GRAMMAR.commands.find((one) => one.path.join(' ') === path)?.flags.map((flag) => flag.name));
  const shared =
    'skip-verify plain-http user refresh hosts-dir tlscacert tlscert tlskey http-dump http-trace label platform all-platforms all-metadata skip-metadata';
  const pull = `${shared} snapshotter print-chainid max-concurrent-downloads local sync-fs`;
  for (const flag of pull.split(' ')) assert.ok(names('images pull').has(flag), `pull --${flag}`);
  for (const flag of `${shared} metadata-only`.split(' '))
    assert.ok(names('content fetch').has(flag), `fetch --${flag}`);
  for (const flag of shared.split(' label')[0]?.split(' ') ?? []) {
    for (const path of ['content fetch-object', 'content fetch-blob'])
      assert.ok(names(path).has(flag), `${path} ${flag}`);
  }
});

test('parse: whatever asks a registry has the flags of its limits, and whatever fetches images --foreign-urls', () => {
  for (const { path, flags } of GRAMMAR.commands) {
    const names = flags.map((flag) => flag.name);
    if (!names.includes('hosts-dir') || path[0] === 'settings') continue;
    for (const { name } of NETWORK_FLAGS) assert.ok(names.includes(name), `${path.join(' ')} --${name}`);
    // Repair fetches, and has a report in place of a display.
    const sends = ['push', 'copy'].includes(path.at(-1) ?? '');
    const fetches = (names.includes('progress') && !sends) || path.at(-1) === 'repair';
    assert.equal(names.includes('foreign-urls'), fetches, path.join(' '));
  }
});

test('parse: flags stand before, between and after the words', () => {
  for (const line of [
    '-n a images pull ref --rw=false'.replace(' --rw=false', ''),
    'images -n a pull ref',
    'images pull -n a ref',
    'images pull ref -n a',
    'images pull ref --namespace=a',
  ]) {
    const input = inputOf(line);
    assert.equal(input.get(NAMESPACE), 'a', line);
    assert.deepEqual(input.args, ['ref'], line);
  }
});

test('parse: lists repeat and never split; other flags take the last', () => {
  const input = inputOf([
    'pull',
    'x',
    '--platform',
    'a,b',
    '--platform=c',
    '--label',
    'k=v,w',
    '-u',
    'a',
    '-u',
    'b',
  ]);
  assert.deepEqual(input.get(PLATFORM), ['a,b', 'c']);
  assert.deepEqual(input.get(LABEL), ['k=v,w']);
  assert.equal(input.get(USER), 'b');
});

test('parse: values are texts, whatever they look like', () => {
  const input = inputOf(['images', 'mount', '007', '1e3', '--label', '0x10', '--snapshotter', '1.0']);
  assert.deepEqual(input.args, ['007', '1e3']);
  assert.deepEqual(input.get(LABEL), ['0x10']);
  assert.equal(input.get(SNAPSHOTTER), '1.0');
  assert.deepEqual(inputOf(['pull', '--', '-x']).args, ['-x']);
  assert.equal(inputOf(['pull', 'x', '-u', 'a:=b=c']).get(USER), 'a:=b=c');
  assert.equal(inputOf(['pull', 'x', '--platform=']).get(PLATFORM)[0], '');
});

test('parse: booleans take true and false', () => {
  assert.equal(inputOf('pull x --plain-http=false').get(PLAIN_HTTP), false);
  assert.equal(inputOf('pull x --plain-http --plain-http=false').get(PLAIN_HTTP), false);
  assert.equal(inputOf('pull --local x').get(LOCAL), true);
  assert.deepEqual(inputOf('pull --local x').args, ['x']);
  assert.equal(inputOf('pull x').get(LOCAL), false);
});

test('parse: the environment stands in for flags that are not used', () => {
  const env = { CONTAINERD_NAMESPACE: 'k8s.io', CONTAINERD_SNAPSHOTTER: 'native', HAWSER_ROOT: '/r' };
  const input = inputOf('pull x', env);
  assert.equal(input.get(NAMESPACE), 'k8s.io');
  assert.equal(input.get(SNAPSHOTTER), 'native');
  assert.equal(input.get(ROOT), '/r');
  assert.equal(inputOf('pull x -n y', env).get(NAMESPACE), 'y');
  assert.equal(inputOf('pull x', { CONTAINERD_NAMESPACE: '' }).get(NAMESPACE), undefined);
  assert.equal(inputOf('pull x', { CONTAINERD_ADDRESS: '/s' }).get(ADDRESS), '/s');
});

const WRONG: readonly (readonly [line: string, message: string, hint: RegExp])[] = [
  ['pul x', 'unknown command "pul"', /Did you mean hawser pull\?/],
  ['imags ls', 'unknown command "imags"', /Did you mean hawser images\?/],
  ['images pulll x', 'unknown command "images pulll"', /Did you mean hawser images pull\?/],
  ['xyzzy', 'unknown command "xyzzy"', /See hawser help/],
  ['pull x --platfrm a', 'unknown flag --platfrm', /Did you mean --platform\?/],
  ['pull x -z', 'unknown flag -z', /See hawser help/],
  ['pull x --no-local', 'unknown flag --no-local', /./],
  ['pull x --__proto__ y', 'unknown flag --__proto__', /./],
  ['pull x --rw', 'flag --rw is not one of hawser images pull', /See hawser help images pull/],
  ['content fetch x --snapshotter native', 'flag --snapshotter is not one of hawser content fetch', /./],
  ['pull x --user', 'flag --user needs a value', /--user=VALUE/],
  ['pull x --codec fast', 'invalid value "fast" for --codec: want auto, native, portable', /./],
  ['pull x --progress=loud', 'invalid value "loud" for --progress: want tty, plain, json, none', /./],
  ['pull x --local=maybe', 'invalid value "maybe" for --local: want true or false', /./],
  ['resolve', 'please provide an image reference to resolve', /See hawser help images resolve/],
  ['resolve a b', 'images resolve: unexpected argument "b"', /./],
  ['content get', 'content get: argument <digest> is missing', /./],
  ['snapshots mounts /t', 'snapshots mounts: argument <key> is missing', /./],
  ['snapshots tree x', 'snapshots tree: unexpected argument "x"', /./],
];

test('parse: wrong usage is told, with what was meant', () => {
  for (const [line, message, hint] of WRONG) {
    assert.throws(
      () => parse(line),
      (err) => {
        assert.equal(messageOf(err), message, line);
        assert.match(hintOf(err) ?? '', hint, line);
        return isUsageError(err);
      },
      line,
    );
  }
});

test('parse: an empty reference is a missing one', () => {
  assert.throws(() => parse(['resolve', '']), /please provide an image reference to resolve/);
});

test('parse: a count is a whole number', () => {
  for (const text of ['x', '-1', '1.5', '9999999999']) {
    assert.throws(() => inputOf(['pull', 'x', `--max-concurrent-downloads=${text}`]), isUsageError);
  }
});
