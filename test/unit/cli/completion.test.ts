/** The completion of bash, asked about every command and flag of the grammar, in one bash. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GRAMMAR } from '../../../src/cli/commands/index.ts';
import type { CommandSpec } from '../../../src/cli/grammar/command.ts';
import { completionScript, SHELLS } from '../../../src/cli/grammar/completion/completion.ts';
import type { AnyFlag } from '../../../src/cli/grammar/flag.ts';
import { PROGRAM_FLAGS } from '../../../src/cli/grammar/flags.ts';
import { needs } from '../../support/needs.ts';
import { tempDir } from '../../support/tmp.ts';

const skip = needs({ tools: ['bash'] });

/**
 * What bash offers at the end of each line. The program is one that lists three images: its first argument, which is the store when
 * the line names one, an honest name and a hostile one.
 */
function offers(lines: readonly string[]): string[][] {
  const dir = tempDir();
  try {
    mkdirSync(join(dir.path, 'sub'));
    writeFileSync(join(dir.path, 'script'), completionScript('bash', GRAMMAR));
    writeFileSync(
      join(dir.path, 'hawser'),
      `#!/bin/sh
case "$*" in
  *"images ls -q") printf '%s\\n' "\${1#--root=}" host:5/a/b:v1 'evil$(x)' ;;
  *"content ls -q") echo sha256:ab ;;
esac
`,
    );
    chmodSync(join(dir.path, 'hawser'), 0o755);
    writeFileSync(
      join(dir.path, 'ask'),
      `. ./script
while IFS= read -r COMP_LINE; do
  read -ra COMP_WORDS <<< "$COMP_LINE"
  [[ $COMP_LINE != *' ' ]] || COMP_WORDS+=('')
  COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
  _hawser
  printf '%s\\n' "\${COMPREPLY[*]}"
done
`,
    );
    const options = { cwd: dir.path, input: `${lines.join('\n')}\n`, encoding: 'utf8' } as const;
    const text = execFileSync('bash', ['--norc', 'ask'], options);
    return text
      .slice(0, -1)
      .split('\n')
      .map((line) => line.split(' ').filter((word) => word !== ''));
  } finally {
    dir[Symbol.dispose]();
  }
}

const hawser = './hawser';

function spellings({ path, aliases = [], short }: CommandSpec): string[] {
  const [first = '', last = first] = path;
  if (path.length === 1) return [first];
  const group = GRAMMAR.groups.find(({ name }) => name === first);
  const groups = [first, ...(group?.aliases ?? [])];
  const grouped = groups.flatMap((name) => [last, ...aliases].map((word) => `${name} ${word}`));
  return short === true ? [...grouped, last] : grouped;
}

const names = (flags: readonly AnyFlag[]): string[] =>
  flags.flatMap(({ name, alias }) => [`--${name}`, ...(alias === undefined ? [] : [`-${alias}`])]);

test('every command, by each of its names, offers its flags and the global ones, and no others', {
  skip,
}, () => {
  const typed = GRAMMAR.commands.flatMap((command) => spellings(command).map((way) => ({ command, way })));
  const found = offers(typed.map(({ way }) => `${hawser} ${way} -`));
  assert.ok(typed.length > 40);
  for (const [at, { command, way }] of typed.entries()) {
    const wanted = names([...command.flags, ...GRAMMAR.globals, ...PROGRAM_FLAGS]);
    assert.deepEqual(found[at]?.sort(), wanted.sort(), way);
  }
});

test('every word of a group is offered, and every first word', { skip }, () => {
  const [top = [], images = [], content = [], help = []] = offers([
    `${hawser} `,
    `${hawser} --root /x i `,
    `${hawser} help content `,
    `${hawser} help `,
  ]);
  assert.deepEqual(help, top);
  for (const { path, aliases = [], short } of GRAMMAR.commands) {
    if (path.length === 1 || short === true) assert.ok(top.includes(path.at(-1) ?? ''), path.join(' '));
    const words = path[0] === 'images' ? images : content;
    if (path[0] === 'images' || path[0] === 'content')
      for (const word of [path[1] ?? '', ...aliases]) assert.ok(words.includes(word), `${path[0]} ${word}`);
  }
  for (const { name } of GRAMMAR.groups) assert.ok(top.includes(name), name);
});

test('every flag with words for values offers them, after a space and after =', { skip }, () => {
  const flags = GRAMMAR.commands.flatMap(({ path, flags: own }) =>
    [...own, ...GRAMMAR.globals].flatMap(({ name, choices }) =>
      choices === undefined ? [] : [{ path, name, choices }],
    ),
  );
  const lines = flags.map(({ path, name }) => `${hawser} ${path.join(' ')} --${name}`);
  const found = offers(lines.flatMap((line) => [`${line} `, `${line}=`]));
  assert.ok(flags.length > 20);
  const wanted = flags.flatMap(({ name, choices }) => [
    choices,
    choices.map((choice) => `--${name}=${choice}`),
  ]);
  assert.deepEqual(found, wanted);
});

test('arguments are images, blobs and directories of the store that the line names', { skip }, () => {
  const image = 'host:5/a/b:v1';
  const table: readonly (readonly [line: string, ...found: string[]])[] = [
    ['images rm ', 'images', image],
    ['images rm x ', 'images', image],
    ['unpack ho', image],
    ['unpack x '],
    ['--root /s pull ', '/s', image],
    ['pull --root=/s --label /x ', '/s', image],
    ['pull -n', '-n'],
    ['content get ', 'sha256:ab'],
    ['bundle x ./s', './sub'],
    ['unpack --rootfs ./s', './sub'],
    ['unpack --rootfs=./s', '--rootfs=./sub'],
    ['pull --trace ./scr', './script'],
    ['pull --retry '],
    ['completion ', ...SHELLS],
    ['nothing like a command '],
  ];
  const found = offers(table.map(([line]) => `${hawser} ${line}`));
  for (const [at, [line, ...wanted]] of table.entries()) assert.deepEqual(found[at], wanted, line);
});
