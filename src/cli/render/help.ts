import { type CommandSpec, directWords, type Grammar, type Group, otherForms } from '../grammar/command.ts';
import { ENVIRONMENT, EXAMPLES, EXIT_CODES, FILES, TOPICS } from '../grammar/facts.ts';
import type { AnyFlag } from '../grammar/flag.ts';
import { bySets } from '../grammar/flag-sets.ts';
import { folded, foldedProse, foldedRows } from './fold.ts';

/** Columns where no terminal says how many it has: what a pager shows. */
const USUAL_WIDTH = 80;
/** Longer lines are hard to read. */
const MAX_WIDTH = 110;
const MIN_WIDTH = 30;

type Rows = readonly (readonly [name: string, about: string])[];

/** Help on one command, on a group, or on the program. `columns`: those of the terminal. */
export function renderHelp(
  about: { readonly command?: CommandSpec; readonly group?: Group },
  grammar: Grammar,
  columns?: number,
): string {
  const width = Math.max(MIN_WIDTH, Math.min(columns ?? USUAL_WIDTH, MAX_WIDTH));
  if (about.command) return commandHelp(about.command, grammar, width);
  if (about.group) return groupHelp(about.group, grammar, width);
  return programHelp(grammar, width);
}

function programHelp(grammar: Grammar, width: number): string {
  const rows = (list: Rows) => foldedRows(list, width);
  const about =
    'hawser pulls container images, verifies them and unpacks them into snapshots, without a daemon';
  return sections([
    ['', `${foldedProse(about, width)}\n`],
    ['Usage', '  hawser [global flags] COMMAND [flags] [arguments]\n'],
    ...topics(grammar, width),
    ['Groups', rows(grammar.groups.map((one) => [[one.name, ...one.aliases].join(', '), one.summary]))],
    ['Global flags', flagRows(grammar.globals, width)],
    ['Examples', rows(EXAMPLES)],
    ['Exit status', rows(EXIT_CODES)],
    ['Environment', rows(ENVIRONMENT)],
    ['Files', rows(FILES)],
    ['', `${foldedProse('hawser help COMMAND says more, hawser --version the version', width)}\n`],
  ]);
}

/** The words that alone name a command, by what they are for. */
function topics(grammar: Grammar, width: number): (readonly [title: string, body: string])[] {
  const summaries = new Map(directWords(grammar));
  return TOPICS.map(([title, words]) => [
    title,
    foldedRows(
      words.flatMap((word) => (summaries.has(word) ? [[word, summaries.get(word) ?? ''] as const] : [])),
      width,
    ),
  ]);
}

function groupHelp(group: Group, grammar: Grammar, width: number): string {
  const inGroup = grammar.commands.filter((one) => one.path.length > 1 && one.path[0] === group.name);
  const names = (one: CommandSpec) => [...one.path.slice(1), ...(one.aliases ?? [])].join(', ');
  const commands: Rows = inGroup.map((one) => [names(one), one.summary]);
  return sections([
    ['', `${foldedProse(`hawser ${group.name}: ${group.summary}`, width)}\n`],
    ['Usage', `  hawser ${group.name} COMMAND [flags] [arguments]\n`],
    ['Commands', foldedRows(commands, width)],
    ['Global flags', flagRows(grammar.globals, width)],
  ]);
}

function commandHelp(command: CommandSpec, grammar: Grammar, width: number): string {
  const name = command.path.join(' ');
  const { own, sets } = bySets(command);
  const usage = ['hawser', name, ...(command.flags.length > 0 ? ['[flags]'] : []), ...command.args].join(' ');
  return sections([
    ['', `${foldedProse(`hawser ${name}: ${command.summary}`, width)}\n`],
    ['Usage', indented(usage, width)],
    ['Also', indented(otherForms(command).join(', '), width)],
    ['', command.details === undefined ? '' : `${foldedProse(command.details, width)}\n`],
    ['Flags', flagRows(own, width)],
    ...sets.map(({ title, flags }) => [capital(title), flagRows(flags, width)] as const),
    ['Global flags', flagRows(grammar.globals, width)],
  ]);
}

function indented(text: string, width: number): string {
  if (text === '') return '';
  return folded(text, width - 4)
    .map((line, at) => `${at === 0 ? '  ' : '    '}${line}\n`)
    .join('');
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

function sections(parts: readonly (readonly [title: string, body: string])[]): string {
  return parts
    .filter(([, body]) => body !== '')
    .map(([title, body]) => (title === '' ? body : `${title}:\n${body}`))
    .join('\n');
}

function flagRows(flags: readonly AnyFlag[], width: number): string {
  const row = (flag: AnyFlag): readonly [string, string] => {
    const names = [`--${flag.name}`, ...(flag.alias === undefined ? [] : [`-${flag.alias}`])].join(', ');
    const from = flag.env === undefined ? '' : ` [$${flag.env}]`;
    return [flag.value === undefined ? names : `${names} ${flag.value}`, `${flag.describe}${from}`];
  };
  return foldedRows(flags.map(row), width);
}
