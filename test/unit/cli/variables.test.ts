/** Which flags have a variable: of each flag that can be typed this table says yes or no. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Parser } from 'yargs/helpers';
import { GRAMMAR } from '../../../src/cli/commands/index.ts';
import type { AnyFlag } from '../../../src/cli/grammar/flag.ts';
import { GATE_FLAGS } from '../../../src/cli/grammar/gate-flags.ts';
import { parseCommandLine } from '../../../src/cli/grammar/parse.ts';
import { variables, variablesOf } from '../../../src/cli/grammar/variables.ts';
import { run } from '../../../src/cli/run.ts';
import { asksJudge } from '../../../src/cli/session/gate.ts';
import type { Services } from '../../../src/cli/session/services.ts';
import { fakeRuntime } from './fake-runtime.ts';

const WITH = words(`
  root namespace address content-sharing timeout config debug
  snapshotter hosts-dir tlscacert progress codec
  jobs max-concurrent-downloads max-concurrent-uploaded-layers chunk-size keep-partial
  retry retry-time timeout-connect timeout-response timeout-stall min-speed limit-rate
  max-layer-size max-layer-ratio max-image-size
  pull reach locked for-cri pin
  policy verify-key verify-identity verify-issuer trusted-root require-signed verifier
  http-dump http-trace
`);

const WITHOUT = words(`
  access-log all all-metadata all-names all-platforms allow-non-distributable-blobs allow-suid artifact-type base-name bytes check
  complete-only compress content digest digests docker dry dry-run expires explain fail-fast file filter for force foreign-urls format
  helper htpasswd id index json keep keep-pulled label lacks listen local long max-connections media-type metadata-only name no-signatures no-unpack
  older-than on-conflict owner password-stdin plain plain-http plan platform print-chainid print-hosts-toml pull-through quiet recursive
  ref-name referrers refresh replace-all report resume rm rootfs rw sha256 signatures skip-bad-names skip-digest-for-named skip-manifest-json
  skip-metadata skip-non-distributable skip-verify stdin-media-type store strict sync sync-fs tar target tlscert tlskey to trace tty user
  verbose
`);

/** Flags that have the name of a setting and mean something else. */
const NAMESAKES: Readonly<Record<string, readonly string[]>> = {
  serve: ['limit-rate', 'tlscacert'],
  'images prune': ['policy'],
  'images verify': ['limit-rate'],
  'content verify': ['limit-rate'],
  'snapshots verify': ['limit-rate'],
};

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}

function nameOf(flag: AnyFlag): string {
  return `HAWSER_${flag.name.toUpperCase().replaceAll('-', '_')}`;
}

test('variables: the table has each flag once, and no other', () => {
  const flags = [...GRAMMAR.globals, ...GRAMMAR.commands.flatMap((one) => one.flags)];
  assert.deepEqual([...WITH, ...WITHOUT].sort(), [...new Set(flags.map(({ name }) => name))].sort());
});

for (const { path, flags } of GRAMMAR.commands) {
  const command = path.join(' ');
  const namesakes = NAMESAKES[command] ?? [];
  test(`variables: ${command} takes values from those of the table only`, () => {
    const source = variables((name) => (name.startsWith('HAWSER_') ? '1' : undefined));
    for (const flag of [...GRAMMAR.globals, ...flags]) {
      const from = WITH.includes(flag.name) && !namesakes.includes(flag.name) ? nameOf(flag) : undefined;
      assert.equal(source(flag)?.from, from, `--${flag.name}`);
      assert.equal(variablesOf(flag)[0], from, `--${flag.name}`);
    }
    const own = flags.map(({ name }) => name);
    assert.deepEqual(
      namesakes.filter((name) => !own.includes(name)),
      [],
    );
  });
}

test('variables: what removes, sends a secret or serves without TLS is typed', () => {
  for (const [args, name] of [
    [['unpack', 'a', '--rootfs', 'full'], 'force'],
    [['images', 'prune'], 'all'],
    [['images', 'prune'], 'policy'],
    [['pull', 'a'], 'user'],
    [['serve'], 'plain-http'],
    [['serve'], 'limit-rate'],
  ] as const) {
    const parsed = parseCommandLine(Parser, args, GRAMMAR, (variable) =>
      variable.startsWith('HAWSER_') ? '1' : undefined,
    );
    assert.ok(parsed.type === 'run');
    const flag = parsed.command.flags.find((one) => one.name === name) ?? assert.fail(name);
    assert.equal(parsed.input.find(flag), undefined, `${args.join(' ')} --${name}`);
  }
});

test('variables: a bad value is wrong usage before anything is done, and hides nothing', async () => {
  for (const [variable, args] of [
    ['HAWSER_DEBUG', ['images', 'ls']],
    ['HAWSER_TIMEOUT', ['images', 'prune', '--all']],
    ['HAWSER_PIN', ['pull', 'a']],
    ['HAWSER_JOBS', ['unpack', 'a', '--rootfs', '/full', '--force']],
  ] as const) {
    const fake = fakeRuntime({ env: { [variable]: 'yes' } });
    const untouched = new Proxy({} as Services, {
      get: (_, name) => assert.fail(`asked for ${String(name)}`),
    });
    const code = await run(fake.runtime, args, untouched);
    assert.deepEqual([code, fake.out()], [2, ''], variable);
    assert.match(fake.err(), new RegExp(`^hawser: .*"yes"? for ${variable}: want|^hawser: .*${variable}`));
  }
});

for (const [args, told] of [
  [['login', '--user', 'a:b', ''], /^hawser: the host of the registry is empty/],
  [['logout', ''], /^hawser: the host of the registry is empty/],
  [['login', '--user', 'a:b', '--helper', '', 'h.test'], /^hawser: invalid value "" for --helper/],
  [['login', '--user', 'a:b', '--helper', '../x', 'h.test'], /^hawser: invalid value "\.\.\/x" for --helper/],
] as const)
  test(`hawser ${args.map((arg) => arg || '""').join(' ')}: wrong usage`, async () => {
    const fake = fakeRuntime({ env: { HOME: '/home/me' } });
    assert.equal(await run(fake.runtime, args, {} as Services), 2);
    assert.match(fake.err(), told);
  });

test('variables: a policy, a key or a program of a variable is asked for images of the store, too; one of hawser.toml for new ones', () => {
  for (const flag of GATE_FLAGS) {
    const parse = (env: Record<string, string>) => {
      const parsed = parseCommandLine(Parser, ['unpack', 'a', '--rootfs', 'b'], GRAMMAR, (name) => env[name]);
      assert.ok(parsed.type === 'run');
      return parsed.input;
    };
    const judged = (input: ReturnType<typeof parse>): boolean =>
      asksJudge({ input } as unknown as Parameters<typeof asksJudge>[0]);
    assert.equal(judged(parse({ [nameOf(flag)]: '1' })), true, flag.name);
    const file = parse({}).with([(one) => (one === flag ? { texts: ['1'], from: 'line 1' } : undefined)]);
    assert.equal(judged(file), false, flag.name);
    assert.equal(judged(parse({ HAWSER_POLICY: 'none', HAWSER_VERIFIER: 'none' })), false);
  }
});
