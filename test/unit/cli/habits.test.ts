/** What users of other tools type is told what it is here; and the hints hold. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Parser } from 'yargs/helpers';
import { GRAMMAR } from '../../../src/cli/commands/index.ts';
import { COMMANDS, FLAGS, SENTENCES } from '../../../src/cli/grammar/habit-tables.ts';
import { parseCommandLine } from '../../../src/cli/grammar/parse.ts';
import { hintOf, messageOf } from '../../../src/core/errors.ts';
import { HABITS } from './habit-rows.ts';

const parse = (args: readonly string[]) => parseCommandLine(Parser, args, GRAMMAR, () => undefined);

function told(line: string): { message: string; hint: string } {
  try {
    parse(line.split(' '));
  } catch (err) {
    return { message: messageOf(err), hint: hintOf(err) ?? '' };
  }
  return assert.fail(`${line} is a command`);
}

for (const [args, hint] of [
  [
    ['images', 'ls', '--format', '{{.Repository}} {{.Digest}}'],
    "hawser has no templates: hawser images list --json | jq -r '.images[] | [.name, .target.digest] | @tsv'",
  ],
  [['image', 'ls', '--format={{json .}}'], 'hawser has no templates: hawser images list --json | jq .'],
  [
    ['inspect', '-f', '{{.Config.Env}}', 'a:1'],
    "hawser has no templates: hawser config a:1 | jq '.config.Env'",
  ],
  [
    ['images', 'inspect', 'a:1', '--format', '{{.Os}}/{{.Architecture}}'],
    "hawser has no templates: hawser config a:1 | jq '.os, .architecture'",
  ],
  [
    ['image', 'inspect', '--format', '{{.Id}}', 'a:1'],
    'hawser has no templates: hawser inspect --json a:1 | jq .target.digest, or hawser config a:1 | jq .config',
  ],
  [['df', '--format', '{{.Size}}'], 'hawser has no templates: hawser df --json | jq .'],
] as const) {
  test(`a Go template: ${args.join(' ')}`, () => {
    assert.throws(
      () => parse(args),
      (err) => hintOf(err) === hint || assert.equal(hintOf(err), hint),
    );
  });
}

const DIGEST = `sha256:${'a'.repeat(64)}`;

for (const [line, hint] of [
  ['rmi -f a:1', 'In hawser: hawser rmi a:1'],
  ['rmi --force a:1 b:2', 'In hawser: hawser rmi a:1 b:2'],
  ['images prune -f --all', 'In hawser: hawser images prune --all'],
  ['inspect --raw docker://a:1', 'In hawser: hawser manifest a:1'],
  ['image exists a:1', 'In hawser: hawser images inspect a:1'],
  ['--platform linux/arm64 image digest a:1', 'In hawser: hawser digest --platform linux/arm64 a:1'],
  ['image digest a:1 --platform=linux/arm64', 'In hawser: hawser digest --platform linux/arm64 a:1'],
  ['image digest a:1', 'In hawser: hawser digest a:1'],
  [`blob fetch r/a@${DIGEST} --output f`, `In hawser: hawser content fetch-blob r/a ${DIGEST}`],
  [`blob get r/a ${DIGEST}`, `In hawser: hawser content fetch-blob r/a ${DIGEST}`],
  ['manifest inspect a:1', 'In hawser: hawser manifest a:1'],
  ['manifest get --platform linux/arm64 a:1', 'In hawser: hawser manifest --platform linux/arm64 a:1'],
  ['ls r/a', 'In hawser: hawser tags r/a'],
  ['list-tags docker://r/a', 'In hawser: hawser tags r/a'],
  ['repo ls r', 'In hawser: hawser catalog r'],
  ['discover a:1', 'In hawser: hawser referrers a:1'],
  ['--insecure pull a:1', 'In hawser: hawser --plain-http pull a:1'],
  ['pull --tls-verify=false a:1', 'In hawser: hawser pull --skip-verify a:1'],
  ['pull --tls-verify=0 a:1', 'In hawser: hawser pull --skip-verify a:1'],
  ['pull --tls-verify false a:1', 'In hawser: hawser pull --skip-verify a:1'],
  ['pull --tls-verify=true a:1', 'In hawser: hawser pull a:1'],
  ['pull --tls-verify true a:1', 'In hawser: hawser pull a:1'],
  ['pull --tls-verify a:1', 'In hawser: hawser pull a:1'],
  ['pull --tls-verify=wat a:1', 'In hawser: hawser pull a:1'],
  ['pull --insecure=true a:1', 'In hawser: hawser pull --plain-http a:1'],
  ['pull --insecure=false a:1', 'In hawser: hawser pull a:1'],
  ['pull --creds me:secret a:1', 'In hawser: hawser pull --user ... a:1'],
  ['pull --creds=me:secret a:1', 'In hawser: hawser pull --user=... a:1'],
  ['pull --username=me a:1', 'In hawser: hawser pull --user=... a:1'],
  ['pull --username me --password secret a:1', 'In hawser: hawser pull --user ... a:1'],
  ['pull --password secret --username me a:1', 'In hawser: hawser pull --user ... a:1'],
  ['pull a:1 --username=me --password=secret', 'In hawser: hawser pull a:1 --user=...'],
  [
    'pull --insecure --tls-verify=false --creds a:b c:1',
    'In hawser: hawser pull --plain-http --skip-verify --user ... c:1',
  ],
  ['pull docker://r/a:1', 'In hawser: hawser pull r/a:1'],
  ['pull -u me:secret docker://r/a:1', 'In hawser: hawser pull -u ... r/a:1'],
  ['images -q', 'In hawser: hawser images ls -q'],
  ['-n k8s.io images', 'In hawser: hawser -n k8s.io images ls'],
] as const) {
  test(`habits: ${line}`, () => assert.equal(told(line).hint, hint));
}

test('habits: each flag of the other tools becomes a line of ours with the same reference, less safe only where asked for', () => {
  for (const [name, { ours, asks }] of Object.entries(FLAGS)) {
    const values = asks === undefined ? ['=me', ' me'] : ['', '=true', ' true', '=false', ' false'];
    for (const typed of values.map((value) => `--${name}${value}`)) {
      const { hint } = told(`pull ${typed} a:1`);
      const got = parse((/^In hawser: hawser (.*)$/.exec(hint)?.[1] ?? '').split(' '));
      assert.ok(got.type === 'run' && got.input.args.join() === 'a:1', `${typed}: ${hint}`);
      const asked = asks === undefined || (asks === 'off') === typed.endsWith('false');
      assert.equal(hint.includes(ours), asked, `${typed}: ${hint}`);
    }
  }
});

for (const line of [
  'save -o x.tar a:1',
  'load -i x.tar',
  'history --human a:1',
  'volume prune -a',
  'pul --wat a:1',
]) {
  test(`habits: ${line}: the unknown command is told, not its flags`, () => {
    assert.match(told(line).message, /^unknown command/);
  });
}

test('habits: an unknown flag before the words is told first, as a word after it may be its value', () => {
  assert.equal(told('--wat history a:1').message, 'unknown flag --wat');
});

test('habits: no word of the tables is a command of ours, and each command line that they name is one', () => {
  for (const typed of [...Object.keys(COMMANDS), ...Object.keys(SENTENCES)]) {
    const said = told(lineOf(typed)).message;
    assert.match(said, /^unknown (command|flag)|: hawser does not know this form of it$/, typed);
  }
  for (const typed of Object.keys(COMMANDS)) assert.ok(parsed(told(lineOf(typed)).hint), typed);
  let named = 0;
  for (const sentence of Object.values(SENTENCES)) {
    const [, line = ''] =
      /\bhawser ((?:images|content|bundle|pull|snapshots)\b[^:,;]*?)(?: (?:and|has|makes|sets|removes|stores|writes|goes|those)\b|,|:|$)/.exec(
        sentence,
      ) ?? [];
    if (line === '') continue;
    named++;
    assert.equal(parse(line.replace('DIGEST', DIGEST).split(' ')).type, 'run', sentence);
  }
  assert.ok(named > 15, `${named} sentences name a command line`);
});

/** A line as the key of a table has it: the shape stands for an argument. */
function lineOf(key: string): string {
  const [, words = key, shape = ''] =
    /^(.+?) ((?:\.\.\.)?(?:-.*|\*\.tar|[a-z-]+:(?:\/\/)?))$/.exec(key) ?? [];
  if (shape.startsWith('...') && shape.includes(':')) return `${words} a:1 ${shape.slice(3)}b:1`;
  const last = { '...-': '-', '...*.tar': 'x.tar', '*.tar': 'x.tar' }[shape];
  if (last !== undefined) return `${words} a:1 ${last}`;
  return shape.startsWith('-')
    ? `${words} ${shape} x a:1`
    : `${words} a:1 ${shape}x`.trim().replace(/ x$/, ' y');
}

/** Whether a hint is a line, or several, that can be typed. */
function parsed(hint: string): boolean {
  const lines = hint.replaceAll('DIGEST', DIGEST).split(' && ');
  return (
    hint.startsWith('In hawser: hawser ') &&
    lines.every((line) => parse(line.replace(/^(?:In hawser: )?hawser /, '').split(' ')).type === 'run')
  );
}

test('habits: what users of nine tools type works, or the hint names the command', (t) => {
  const count = { works: 0, hint: 0, wrong: 0 };
  for (const [line, comes] of HABITS) {
    const args = (line.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replace(/^'|'$/g, ''));
    const got = outcome(args.map((arg) => arg.replace('DIGEST', DIGEST.slice(7))));
    const [, sign, command = ''] = /^([=?]) (.+)$/.exec(comes) ?? [];
    const runs = `= ${command}` === got;
    if (sign === '=' && runs && !command.startsWith('help')) count.works++;
    else if (runs || got === comes.replaceAll('DIGEST', DIGEST.slice(7))) count.hint++;
    else {
      count.wrong++;
      assert.fail(`${line}\n got: ${got}\nwant: ${comes}`);
    }
    assert.match(comes, /hawser|^[=?] /, line);
    if (comes.startsWith('In hawser:')) assert.ok(parsed(comes), comes);
  }
  t.diagnostic(
    `${HABITS.length} habits: ${count.works} work, ${count.hint} are told the command, ${count.wrong} wrong`,
  );
});

/** `= COMMAND`, or the hint. */
function outcome(args: readonly string[]): string {
  try {
    const got = parse(args);
    if (got.type === 'run') return `= ${got.command.path.join(' ')}`;
    return `= ${got.type} ${got.type === 'help' ? (got.group?.name ?? '') : ''}`;
  } catch (err) {
    return hintOf(err) ?? '';
  }
}

test('habits: a nearest word never crosses meanings', () => {
  const near = (line: string) => /Did you mean hawser (.+)\?/.exec(told(line).hint)?.[1];
  for (const [typed, meant] of [
    ['pul', 'pull'],
    ['plul', 'pull'],
    ['exprot', 'export'],
    ['referers', 'referrers'],
    ['manfest', 'manifest'],
    ['lokc', 'lock'],
  ] as const)
    assert.equal(near(`${typed} a:1`), meant, typed);
  for (const other of [
    'put',
    'list',
    'link',
    'build',
    'move',
    'cat',
    'load',
    'rm',
    'kill',
    'get',
    'pump',
    'diff',
  ])
    assert.equal(near(`${other} a:1`), undefined, other);
});

test('habits: no flag takes another flag, or what -a of docker stands before, for its value', () => {
  assert.match(
    told('pull --platform --quiet a:1').message,
    /^flag --platform needs a value, and quiet is a flag$/,
  );
  assert.match(told('images ls -a -q').message, /^flag --address needs a value/);
  assert.match(told('images check -a r/a').message, /^flag -a is --address, .*"r\/a" is none$/);
  for (const line of ['-a here images ls', '-a here pull a:1', '-n x -a here images prune'])
    assert.equal(parse(line.split(' ')).type, 'run', line);
  assert.equal(parse(['images', 'ls', '-a', '/run/x.sock']).type, 'run');
  assert.equal(parse(['images', 'prune', '-a', './x.sock']).type, 'run');
  assert.equal(parse(['pull', '--address', 'x.sock', 'a:1']).type, 'run');
  assert.equal(parse(['pull', '--label=-x', 'a:1']).type, 'run');
});

/** What users of ctr, docker, crane, skopeo, regctl and oras type. */
const TYPED = [
  ...['images convert --oci a:1 a:oci'],
  ...['plugins ls', 'info', 'run --rm a:1 N', 'c ls'],
  ...['save a:1', 'history a:1', 'system df', 'system prune'],
  ...['search alpine', 'manifest inspect a:1', 'buildx imagetools inspect a:1', 'image convert a b'],
  ...['ls r/a', 'validate --remote a:1', 'auth login r', 'list-tags r/a'],
  ...[
    'sync --src docker --dest dir r/a f',
    'delete docker://a:1',
    'image copy a:1 ocidir://f',
    'image get-file a:1 /etc/x',
  ],
  ...['image digest a:1', 'tag ls r/a', 'repo ls r', 'registry login r', 'discover a:1', 'repo tags r/a'],
  ...['raw unpack --image f:1 r', 'stat --image f:1', 'ls --layout f'],
];

test('habits: every word of the other tools has a hint of its own', () => {
  for (const line of TYPED) {
    const { message, hint } = told(line);
    assert.match(message, /^unknown command/, line);
    assert.doesNotMatch(hint, /^(See|Did you mean)/, `${line}: ${hint}`);
    assert.match(hint, /hawser/, line);
  }
});
