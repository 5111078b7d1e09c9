/**
 * README.md and the guides in docs/: each command is run by a test or says why not; commands, flags, variables and files that the text names exist;
 * links lead somewhere; the reference is that of the grammar.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { Parser } from 'yargs/helpers';
import { referencePage } from '../../scripts/reference.ts';
import { GRAMMAR } from '../../src/cli/commands/index.ts';
import { parseCommandLine } from '../../src/cli/grammar/parse.ts';
import { variablesOf } from '../../src/cli/grammar/variables.ts';
import { valuesOf } from '../../src/cli/session/settings.ts';
import { messageOf } from '../../src/core/errors.ts';
import { parseHostsToml } from '../../src/core/registry/hosts-dir/toml.ts';
import { parsePolicy } from '../../src/core/verbs/policy-file.ts';
import { blocksOf, ELSEWHERE, isNotRun, NOT_RUN, PAGES, shellBlocks, textOf } from '../support/readme.ts';
import { repository } from '../support/runtimes.ts';

/** Blocks of these are data or code, never commands. */
const LANGUAGES = ['ini', 'json', 'text', 'toml', 'ts', 'yaml'];

test('guides: commands are in shell blocks, where tests find them', () => {
  for (const page of PAGES)
    for (const { language, lines, at } of blocksOf(page)) {
      if (language === 'sh') continue;
      assert.ok(LANGUAGES.includes(language), `${page}:${at}: a block of ${language || 'no language'}`);
      assert.deepEqual(
        lines.filter((line) => /^(?:\$ )?(?:hawser|deno|npm|ctr|skopeo) /.test(line)),
        [],
        `${page}:${at}: commands in a block of ${language}`,
      );
    }
});

test('guides: a test that runs blocks takes them from the page, and asks that none is left', () => {
  for (const { page, heading, test } of ELSEWHERE) {
    assert.ok(
      shellBlocks(page, test).some((block) => heading === undefined || block.heading === heading),
      `${page} has no commands below ${heading}`,
    );
    const source = readFileSync(join(repository, 'test', test), 'utf8');
    assert.ok(source.includes(`'${page}'`) && source.includes('.left()'), `${test} does not run ${page}`);
  }
});

test('guides: what is not run is there, once, with a reason', () => {
  for (const { page, line, reason } of NOT_RUN) {
    const lines = blocksOf(page).flatMap((block) => (block.language === 'sh' ? block.lines : []));
    assert.equal(lines.filter((one) => one === line).length, 1, `${page}: ${line}`);
    assert.ok(reason.length > 10 && isNotRun(page, line));
  }
});

/** Inline code of a page, line breaks as spaces; that of tables has no escapes. */
function inlineCode(page: string): string[] {
  const text = textOf(page).replaceAll(/^```[\s\S]*?^```$/gm, '');
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) =>
    code.replaceAll('\n', ' ').replaceAll('\\|', '|'),
  );
}

/** Of other programs, as far as the guides name them. */
const OTHER_FLAGS =
  /^--(?:allow-(?!suid$|non-)|disable-warning$|ext4$|list-tags$|now$|permission$|repair$|src-tls-verify$|use-signing-config$)/;

test('guides: flags that the text names exist', () => {
  const all = [...GRAMMAR.globals, ...GRAMMAR.commands.flatMap(({ flags }) => flags)];
  const known = new Set([...all.map(({ name }) => `--${name}`), '--help', '--version']);
  for (const page of PAGES)
    for (const code of inlineCode(page))
      for (const [flag] of code.matchAll(/(?<![\w-])--[a-z][\w-]*(?!\*)\b(?!-?\*)/g))
        assert.ok(known.has(flag) || OTHER_FLAGS.test(flag), `${page}: ${flag} (${code})`);
});

/** Why a command line is wrong, but for arguments that a text leaves out; undefined: it is right. */
function fault(words: readonly string[]): string | undefined {
  try {
    parseCommandLine(Parser, words, GRAMMAR, () => undefined);
  } catch (err) {
    if (!/please provide|missing|needs a value/.test(messageOf(err))) return messageOf(err);
  }
  return undefined;
}

/** Not whole: words stand for what a reader puts there. */
const PARTS = /^hawser (?:COMMAND|--address(?: SOCKET)?$)|\.\.\./;

test('guides: command lines that the text names are right', () => {
  for (const page of PAGES)
    for (const code of inlineCode(page)) {
      if (!code.startsWith('hawser ') || PARTS.test(code) || page === 'docs/reference.md') continue;
      const args = code
        .replaceAll(/'([^']*)'/g, (_, quoted: string) => quoted.replaceAll(' ', '_'))
        .split(/ [>|] /)[0]
        ?.split(' ')
        .slice(1);
      assert.equal(fault(args ?? []), undefined, `${page}: ${code}`);
    }
});

test('guides: the tables beside other tools have commands of hawser in the column of hawser', () => {
  let commands = 0;
  for (const page of ['README.md', 'docs/ctr.md'])
    for (const [, cell = ''] of textOf(page).matchAll(
      page === 'README.md'
        ? /^\| [a-z][^|]* \| (`[^|]*) \|.*\|.*\|.*\|.*\|$/gm
        : /^\| (`[^|]*) \|.*\|.*\|.*\|$/gm,
    )) {
      let group = '';
      for (const [, code = ''] of cell.matchAll(/`([^`]+)`/g)) {
        if (code.startsWith('-')) continue;
        const words = code.split(' ');
        // `images ls`, `check`: the group is that of the command before.
        const why = fault(words);
        assert.ok(why === undefined || fault([group, ...words]) === undefined, `${page}: ${code}: ${why}`);
        if (why === undefined) group = words[0] ?? '';
        commands++;
      }
    }
  assert.ok(commands > 60, `${commands} commands were found`);
});

test('guides: variables that the text names exist', () => {
  const all = [...GRAMMAR.globals, ...GRAMMAR.commands.flatMap(({ flags }) => flags)].flatMap(variablesOf);
  const known = new Set([...all, 'HAWSER_SETTING']);
  for (const page of PAGES)
    for (const [name] of textOf(page).matchAll(/\bHAWSER_[A-Z_]+/g))
      assert.ok(known.has(name), `${page}: ${name}`);
});

test('guides: links lead to files and headings', () => {
  const anchors = (file: string): string[] =>
    [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    );
  for (const page of PAGES)
    for (const [, target = ''] of textOf(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? join(repository, page) : join(repository, dirname(page), path);
      assert.ok(existsSync(file), `${page}: ${target}`);
      assert.ok(anchor === undefined || anchors(file).includes(anchor), `${page}: ${target}`);
    }
});

test('guides: README is short, and leads to each guide', () => {
  const readme = textOf('README.md');
  assert.ok(readme.split('\n').length <= 130, 'two screens');
  for (const page of PAGES.slice(1)) assert.ok(readme.includes(`(${page})`), page);
});

test('guides: files in blocks are read as what they are', () => {
  const readers: Readonly<Record<string, (text: string) => unknown>> = {
    'docs/configuration.md': (text) => valuesOf('hawser.toml', text),
    'docs/registries.md': (text) => parseHostsToml(text, 'hosts.toml'),
    'docs/store.md': (text) => parsePolicy(text, 'policy.toml'),
  };
  for (const page of PAGES)
    for (const { language, lines, at } of blocksOf(page)) {
      if (language !== 'toml') continue;
      const read = readers[page];
      assert.ok(read !== undefined, `${page}:${at}: which file is this?`);
      read(lines.join('\n'));
    }
});

test('guides: the reference is that of the grammar', () => {
  assert.equal(textOf('docs/reference.md'), referencePage(), 'npm run reference makes it anew');
});

test('guides: the messages to look for are those of the source', () => {
  const root = join(repository, 'src');
  const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(root, name), 'utf8'));
  const messages = textOf('docs/troubleshooting.md')
    .split('\n')
    .flatMap((line) => /^\| (`.*?`) \|/.exec(line)?.[1]?.split('`, `') ?? [])
    .map((message) => message.replaceAll(/^`|`$/g, ''));
  assert.ok(messages.length > 40);
  for (const message of messages) {
    const parts = message.split('…').map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
    const pattern = new RegExp(parts.join('\\$\\{[^\\n]*?\\}'));
    assert.ok(
      sources.some((source) => pattern.test(source)),
      message,
    );
  }
});
