/** The manual page has the whole grammar, and groff finds nothing to say about it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { manPage } from '../../../scripts/release/man-page.ts';
import { GRAMMAR } from '../../../src/cli/commands/index.ts';
import type { CommandSpec, Grammar } from '../../../src/cli/grammar/command.ts';
import { bool } from '../../../src/cli/grammar/flag.ts';
import { needs } from '../../support/needs.ts';

const skip = needs({ tools: ['groff'] });

/** The page as text without bold, and what groff warned of. */
function set(page: string): { text: string; warnings: string } {
  const args = ['-man', '-Tascii', '-ww', '-rLL=200n', '-P-cbou'];
  const { stdout, stderr, status } = spawnSync('groff', args, { input: page, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return { text: stdout.replaceAll(/\s+/g, ' '), warnings: stderr };
}

test('groff sets the page without a warning, with every command, flag, value and summary', { skip }, () => {
  const { text, warnings } = set(manPage(GRAMMAR, '1.2.3'));
  assert.equal(warnings, '');
  assert.match(text, /^ ?HAWSER\(1\) .* hawser 1\.2\.3 /);
  for (const { path, args, summary, details = '', flags } of GRAMMAR.commands) {
    const from = text.indexOf(` ${['hawser', ...path, ...args].join(' ')} `);
    assert.ok(from >= 0, path.join(' '));
    assert.ok(text.slice(from).includes(`${summary.slice(1)}.`), summary);
    assert.ok(text.includes(details.replaceAll(/\s+/g, ' ')), details);
    for (const { name, value = '', describe } of [...flags, ...GRAMMAR.globals])
      assert.ok(text.includes(`--${name}`) && text.includes(value) && text.includes(describe), name);
  }
});

test('texts that groff would read as requests are shown as they are', { skip }, () => {
  const spec: CommandSpec = {
    path: ['x'],
    args: [],
    summary: 'a',
    details: ".TH is no request\n'nor is this\n\\fBneither",
    flags: [bool({ name: 'odd', describe: '.br \\n(a - b' })],
  };
  const grammar: Grammar = { groups: [], commands: [spec], globals: [] };
  const { text, warnings } = set(manPage(grammar, '1'));
  assert.equal(warnings, '');
  assert.ok(text.includes(".TH is no request 'nor is this \\fBneither"), text);
  assert.ok(text.includes('.br \\n(a - b'), text);
});
