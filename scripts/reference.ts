/** npm run reference: writes docs/reference.md, of the same grammar as the command line. A test holds the page to it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GRAMMAR } from '../src/cli/commands/index.ts';
import { type CommandSpec, otherForms } from '../src/cli/grammar/command.ts';
import { ENVIRONMENT, EXIT_CODES, type Fact, FILES } from '../src/cli/grammar/facts.ts';
import type { AnyFlag } from '../src/cli/grammar/flag.ts';
import { bySets, FLAG_SETS } from '../src/cli/grammar/flag-sets.ts';
import { PROGRAM_FLAGS } from '../src/cli/grammar/flags.ts';
import { SETTINGS } from '../src/cli/grammar/settings.ts';
import { variablesOf } from '../src/cli/grammar/variables.ts';

const INTRO = `# Reference

All commands with their flags, then settings, variables, files and exit statuses. The page is made of the grammar of the command line
(\`npm run reference\`); \`hawser COMMAND --help\` says more of each command. Flags may stand anywhere; a value follows after a space or \`=\`. Sizes
are bytes, or 500k, 10M, 64G; durations 90s, 5m, 1h.
`;

export function referencePage(): string {
  return [
    INTRO,
    section('Commands', GRAMMAR.commands.map(commandPart).join('\n')),
    ...FLAG_SETS.map(({ title, flags }) => section(capital(title), flagTable(flags))),
    section('Global flags', flagTable([...GRAMMAR.globals, ...PROGRAM_FLAGS])),
    section('Settings', `${SETTINGS_TEXT}\n${table(['key', 'flag', 'variables'], SETTINGS.map(settingRow))}`),
    section('Environment', factTable(ENVIRONMENT)),
    section('Files', factTable(FILES)),
    section('Exit status', factTable(EXIT_CODES)),
  ].join('\n');
}

const SETTINGS_TEXT = 'Keys of hawser.toml: see [Configuration](configuration.md).\n';

function section(title: string, body: string): string {
  return `## ${title}\n\n${body}`;
}

function commandPart(command: CommandSpec): string {
  const { path, args, summary } = command;
  const { own, sets } = bySets(command);
  const also = otherForms(command).map(code);
  const lines = [
    `### ${['hawser', ...path].join(' ')}`,
    '',
    `${code(['hawser', ...path, ...args].join(' '))}: ${summary}.${also.length === 0 ? '' : ` Also ${also.join(', ')}.`}`,
    '',
    ...(own.length === 0 ? [] : [flagTable(own)]),
    ...(sets.length === 0 ? [] : [`Also the ${sets.map(link).join(', ')}.\n`]),
  ];
  return lines.join('\n');
}

function link({ title }: { readonly title: string }): string {
  return `[${title}](#${title.replaceAll(' ', '-')})`;
}

function flagTable(flags: readonly AnyFlag[]): string {
  const rows = flags.map(({ name, alias, value, describe }) => {
    const names = [`--${name}`, ...(alias === undefined ? [] : [`-${alias}`])].join(', ');
    return [code(value === undefined ? names : `${names} ${value}`), plain(describe)];
  });
  return table(['flag', 'meaning'], rows);
}

function settingRow({ key, flag }: (typeof SETTINGS)[number]): string[] {
  return [code(key), code(`--${flag.name}`), variablesOf(flag).map(code).join(', ')];
}

function factTable(facts: readonly Fact[]): string {
  return table(
    ['', ''],
    facts.map(([name, about]) => [code(name), plain(about)]),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return [line(head), `${'|---'.repeat(head.length)}|\n`, ...rows.map(line)].join('');
}

function code(text: string): string {
  return `\`${text.replaceAll('|', '\\|')}\``;
}

function plain(text: string): string {
  return text.replaceAll(/[|<*]/g, '\\$&');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

if (import.meta.main) writeFileSync(join(import.meta.dirname, '../docs/reference.md'), referencePage());
