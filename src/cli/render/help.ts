import { type CommandSpec, directWords, type Grammar, type Group, otherForms } from '../grammar/command.ts';
import { ENVIRONMENT, EXAMPLES, EXIT_CODES, FILES, TOPICS } from '../grammar/facts.ts';
import type { AnyFlag } from '../grammar/flag.ts';
import { align } from './tabwriter.ts';

const GAP = { minWidth: 1, tabWidth: 8, padding: 2, padChar: ' ' } as const;

/** Help on one command, on a group, or on the program. */
export function renderHelp(
  about: { readonly command?: CommandSpec; readonly group?: Group },
  grammar: Grammar,
): string {
  if (about.command) return commandHelp(about.command, grammar);
  if (about.group) return groupHelp(about.group, grammar);
  return programHelp(grammar);
}

function programHelp(grammar: Grammar): string {
  return sections([
    ['', 'hawser pulls container images, verifies them and unpacks them into snapshots, without a daemon\n'],
    ['Usage', '  hawser [global flags] COMMAND [flags] [arguments]\n'],
    ...topics(grammar),
    ['Groups', rows(grammar.groups.map((one) => [[one.name, ...one.aliases].join(', '), one.summary]))],
    ['Global flags', flagRows(grammar.globals)],
    ['Examples', rows(EXAMPLES)],
    ['Exit status', rows(EXIT_CODES)],
    ['Environment', rows(ENVIRONMENT)],
    ['Files', rows(FILES)],
    ['', 'hawser help COMMAND says more, hawser --version the version\n'],
  ]);
}

/** The words that alone name a command, by what they are for. */
function topics(grammar: Grammar): (readonly [title: string, body: string])[] {
  const summaries = new Map(directWords(grammar));
  return TOPICS.map(([title, words]) => [
    title,
    rows(words.flatMap((word) => (summaries.has(word) ? [[word, summaries.get(word) ?? ''] as const] : []))),
  ]);
}

function groupHelp(group: Group, grammar: Grammar): string {
  const inGroup = grammar.commands.filter((one) => one.path.length > 1 && one.path[0] === group.name);
  const names = (one: CommandSpec) => [...one.path.slice(1), ...(one.aliases ?? [])].join(', ');
  return sections([
    ['', `hawser ${group.name}: ${group.summary}\n`],
    ['Usage', `  hawser ${group.name} COMMAND [flags] [arguments]\n`],
    ['Commands', rows(inGroup.map((one) => [names(one), one.summary]))],
    ['Global flags', flagRows(grammar.globals)],
  ]);
}

function commandHelp(command: CommandSpec, grammar: Grammar): string {
  const name = command.path.join(' ');
  const also = otherForms(command);
  return sections([
    ['', `hawser ${name}: ${command.summary}\n`],
    [
      'Usage',
      `  ${['hawser', name, ...(command.flags.length > 0 ? ['[flags]'] : []), ...command.args].join(' ')}\n`,
    ],
    ['Also', also.length > 0 ? `  ${also.join(', ')}\n` : ''],
    ['', command.details === undefined ? '' : `${command.details}\n`],
    ['Flags', flagRows(command.flags)],
    ['Global flags', flagRows(grammar.globals)],
  ]);
}

function sections(parts: readonly (readonly [title: string, body: string])[]): string {
  return parts
    .filter(([, body]) => body !== '')
    .map(([title, body]) => (title === '' ? body : `${title}:\n${body}`))
    .join('\n');
}

function rows(cells: readonly (readonly [string, string])[]): string {
  return align(cells.map(([left, right]) => `  ${left}\t${right}\n`).join(''), GAP);
}

function flagRows(flags: readonly AnyFlag[]): string {
  return rows(
    flags.map((flag) => {
      const names = [`--${flag.name}`, ...(flag.alias === undefined ? [] : [`-${flag.alias}`])].join(', ');
      const from = flag.env === undefined ? '' : ` [$${flag.env}]`;
      return [flag.value === undefined ? names : `${names} ${flag.value}`, `${flag.describe}${from}`];
    }),
  );
}
