/** Help fits the window: of the program, of each group and each command. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GRAMMAR } from '../../../src/cli/commands/index.ts';
import { ENVIRONMENT, EXIT_CODES, FILES } from '../../../src/cli/grammar/facts.ts';
import { folded, foldedProse, foldedRows } from '../../../src/cli/render/fold.ts';
import { renderHelp } from '../../../src/cli/render/help.ts';
import { run } from '../../../src/cli/run.ts';
import type { Services } from '../../../src/cli/session/services.ts';
import { fakeRuntime } from './fake-runtime.ts';

const ABOUT = [
  {},
  ...GRAMMAR.groups.map((group) => ({ group })),
  ...GRAMMAR.commands.map((command) => ({ command })),
];
const spaced = (text: string): string => text.replace(/\s+/g, ' ');

for (const [columns, width] of [
  [80, 80],
  [undefined, 80],
  [100, 100],
  [300, 110],
] as const) {
  test(`help: in ${columns ?? 'no'} columns no line is wider than ${width}`, () => {
    for (const about of ABOUT) {
      const wide = renderHelp(about, GRAMMAR, columns)
        .split('\n')
        .filter((line) => line.length > width);
      assert.deepEqual(wide, []);
    }
  });
}

test('help: in 40 columns only a word, or an example that can be copied, is wider', () => {
  for (const about of ABOUT) {
    for (const line of renderHelp(about, GRAMMAR, 40).split('\n')) {
      const isCommand = /^ {2,}(?:hawser|echo|--)/.test(line);
      assert.ok(line.length <= 40 || isCommand || !/\S +\S/.test(line), line);
    }
  }
});

test('help: nothing is lost when lines are folded', () => {
  for (const command of GRAMMAR.commands) {
    const text = spaced(renderHelp({ command }, GRAMMAR, 80));
    for (const { name, describe } of [...command.flags, ...GRAMMAR.globals]) {
      assert.ok(text.includes(spaced(describe)), `${command.path.join(' ')} --${name}`);
      assert.equal(text.split(` --${name} `).length > 1 || text.includes(` --${name},`), true, name);
    }
    assert.ok(text.includes(spaced(command.details ?? '')), command.path.join(' '));
  }
  const program = spaced(renderHelp({}, GRAMMAR, 80));
  for (const [name, about] of [...EXIT_CODES, ...ENVIRONMENT, ...FILES])
    assert.ok(program.includes(spaced(`${name} ${about}`)), name);
});

test('help: every character is one that each terminal, and a manual page, can show', () => {
  for (const about of ABOUT) assert.match(renderHelp(about, GRAMMAR, 80), /^[\n\x20-\x7e]*$/);
});

test('help: examples stand apart, each in a line to copy', () => {
  for (const { details = '', path } of GRAMMAR.commands) {
    assert.doesNotMatch(details, /[^\n]\nExamples?:|Examples?: \S/, path.join(' '));
  }
});

test('help: a terminal says how wide it is', async () => {
  const shown = async (columns?: number) => {
    const fake = fakeRuntime(columns === undefined ? {} : { columns });
    assert.equal(await run(fake.runtime, ['help', 'pull'], {} as Services), 0);
    return Math.max(
      ...fake
        .out()
        .split('\n')
        .map((line) => line.length),
    );
  };
  assert.ok((await shown(100)) > 80 && (await shown(100)) <= 100);
  assert.ok((await shown()) <= 80);
});

test('fold: words stay whole, empty and indented lines stay, names that are long stand above', () => {
  assert.deepEqual(folded('a bb cccccccc d', 4), ['a bb', 'cccccccc', 'd']);
  assert.equal(foldedProse('a b\nc\n\nd:\n  e  f g', 3), 'a b\nc\n\nd:\n  e  f g');
  assert.equal(
    foldedRows(
      [
        ['-a', 'one'],
        ['--a-name-that-is-very-long-indeed', 'two'],
        ['-bb', `${'x'.repeat(50)} ${'y'.repeat(50)}`],
      ],
      60,
    ),
    `  -a   one\n  --a-name-that-is-very-long-indeed\n       two\n  -bb  ${'x'.repeat(50)}\n       ${'y'.repeat(50)}\n`,
  );
});
