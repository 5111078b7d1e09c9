/** The manual page hawser(1), of the same grammar as the command line, for man(7) macros. */
import { type CommandSpec, type Grammar, otherForms } from '../../src/cli/grammar/command.ts';
import { ENVIRONMENT, EXAMPLES, EXIT_CODES, FILES } from '../../src/cli/grammar/facts.ts';
import type { AnyFlag } from '../../src/cli/grammar/flag.ts';
import { bySets, FLAG_SETS } from '../../src/cli/grammar/flag-sets.ts';
import { PROGRAM_FLAGS } from '../../src/cli/grammar/flags.ts';

export function manPage(grammar: Grammar, version: string): string {
  return [
    `.TH HAWSER 1 "" "hawser ${plain(version)}" "User Commands"\n`,
    // Words are not parted at the end of a line: they are looked for, and copied.
    '.nh\n',
    section('NAME', 'hawser \\- pull container images, verify them and unpack them, without a daemon\n'),
    section(
      'SYNOPSIS',
      '.B hawser\n[\\fIglobal flags\\fR] \\fICOMMAND\\fR [\\fIflags\\fR] [\\fIarguments\\fR]\n',
    ),
    section('DESCRIPTION', `${prose(DESCRIPTION)}\n`),
    section('COMMANDS', grammar.commands.map(commandPart).join('')),
    ...FLAG_SETS.map(({ title, flags }) => section(title.toUpperCase(), flagRows(flags))),
    section('GLOBAL FLAGS', flagRows([...grammar.globals, ...PROGRAM_FLAGS])),
    section('ENVIRONMENT', rows(ENVIRONMENT)),
    section('FILES', rows(FILES)),
    section('EXIT STATUS', rows(EXIT_CODES)),
    section('EXAMPLES', rows(EXAMPLES)),
    section('SEE ALSO', '.BR skopeo (1),\n.BR umoci (1),\n.BR runc (8),\n.BR ctr (8)\n'),
  ].join('');
}

const DESCRIPTION =
  'hawser resolves a reference at an OCI or Docker registry, fetches what the reference names into a content-addressed store, verifies ' +
  'every byte, unpacks the layers into snapshots ready to run, and records the image last. An interrupted download is continued ' +
  'by the next command for the same image. Flags may stand anywhere; -flag is --flag, and a value follows after a space or =.';

function section(title: string, body: string): string {
  return `.SH ${title}\n${body}`;
}

function commandPart(command: CommandSpec): string {
  const { path, args, summary, details } = command;
  const { own, sets } = bySets(command);
  const more =
    sets.length === 0 ? '' : `.PP\nAlso the ${plain(sets.map(({ title }) => title).join(', '))} (below).\n`;
  const also = otherForms(command).join(', ');
  return [
    `.SS ${plain(['hawser', ...path, ...args].join(' '))}\n`,
    `${prose(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)}\n`,
    details === undefined ? '' : `.PP\n${prose(details)}\n`,
    also === '' ? '' : `.PP\nAlso typed: ${plain(also)}\n`,
    flagRows(own),
    more,
  ].join('');
}

function flagRows(flags: readonly AnyFlag[]): string {
  return flags
    .map(({ name, alias, value, describe, env }) => {
      const names = [`--${name}`, ...(alias === undefined ? [] : [`-${alias}`])].map(
        (one) => `\\fB${plain(one)}\\fR`,
      );
      const shown = value === undefined ? names.join(', ') : `${names.join(', ')} \\fI${plain(value)}\\fR`;
      return `.TP\n${shown}\n${prose(env === undefined ? describe : `${describe} [$${env}]`)}\n`;
    })
    .join('');
}

function rows(list: readonly (readonly [string, string])[]): string {
  return list.map(([name, about]) => `.TP\n\\fB${plain(name)}\\fR\n${prose(about)}\n`).join('');
}

/** Text that begins no request and has no escapes of its own. */
function prose(text: string): string {
  return text
    .split('\n')
    .map((line) => plain(line).replace(/^[.']/, '\\&$&'))
    .join('\n');
}

function plain(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-');
}
