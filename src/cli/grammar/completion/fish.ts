/** The completion for fish 3 and newer: a line for each flag, argument and word, with the condition under which it is offered. */
import type { AnyFlag } from '../flag.ts';
import { namesOf, type Typed, type TypedCommand, type Values, valuedFlags, valuesOfFlag } from './typed.ts';

export function fishCompletion(grammar: Typed): string {
  const { commands, globals } = grammar;
  const names = commands.map(
    ({ name, spellings }) =>
      `        case ${spellings.map(quoted).join(' ')}\n            echo ${quoted(name)}\n`,
  );
  return `# fish completion of hawser, made by: hawser completion fish
# To use it: ~/.config/fish/completions/hawser.fish

set -g __hawser_valued ${valuedFlags(grammar).flatMap(namesOf).join(' ')}

# The full name of the command that is typed as $argv[1].
function __hawser_name
    switch "$argv[1]"
${names.join('')}    end
end

${CODE}
complete -c hawser -f
${[...wordLines(grammar), ...globals.map((flag) => flagLine(flag, '')), ...flagLines(grammar), ...commands.flatMap(argumentLines)].join('\n')}
`;
}

function wordLines({ words, groups }: Typed): string[] {
  const lines = (after: string, list: Typed['words']): string[] =>
    list.map(
      ([word, summary]) =>
        `complete -c hawser -n ${quoted(`__hawser_after ${after}`)} -a ${word} -d ${quoted(summary)}`,
    );
  return [...lines("''", words), ...groups.flatMap((one) => lines(one.names.join(' '), one.words))];
}

/** Each flag with the commands that have it in the same words. */
function flagLines({ commands, globals }: Typed): string[] {
  const having = new Map<string, { readonly flag: AnyFlag; readonly commands: string[] }>();
  for (const { name, flags } of commands) {
    for (const flag of flags.filter((one) => !globals.includes(one))) {
      const key = `${flag.name} ${flag.describe}`;
      const known = having.get(key) ?? { flag, commands: [] };
      having.set(key, known);
      known.commands.push(name);
    }
  }
  return [...having.values()].map((one) =>
    flagLine(one.flag, ` -n ${quoted(`__hawser_in ${one.commands.map((name) => `"${name}"`).join(' ')}`)}`),
  );
}

function flagLine(flag: AnyFlag, condition: string): string {
  const short = flag.alias === undefined ? '' : ` -s ${flag.alias}`;
  const value = flag.type === 'bool' ? '' : ` -x${offered(valuesOfFlag(flag))}`;
  return `complete -c hawser${condition}${short} -l ${flag.name}${value} -d ${quoted(flag.describe)}`;
}

function argumentLines({ name, args, open }: TypedCommand): string[] {
  return args.flatMap((values, at) => {
    const others = offered(values);
    if (others === '') return [];
    const last = open && at === args.length - 1 ? 999 : at + 1;
    return `complete -c hawser -n ${quoted(`__hawser_at "${name}" ${at + 1} ${last}`)}${others}`;
  });
}

function offered(values: Values): string {
  if (typeof values !== 'string') return ` -a ${quoted(values.words.join(' '))}`;
  return {
    images: " -a '(__hawser_run images ls -q)'",
    blobs: " -a '(__hawser_run content ls -q)'",
    directories: " -a '(__fish_complete_directories)'",
    files: " -a '(__fish_complete_path)'",
    nothing: '',
  }[values];
}

function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`;
}

/** The same for every grammar. */
const CODE = `# Three lines about the words before the cursor: those that name a command, its full name, and how many arguments follow.
function __hawser_typed
    set -l words (commandline -opc)
    set -l typed ''
    set -l command ''
    set -l args 0
    set -l skip 0
    for word in $words[2..-1]
        if test $skip = 1
            set skip 0
        else if string match -q -- '-?*' $word
            contains -- $word $__hawser_valued; and set skip 1
        else if test -n "$command"
            set args (math $args + 1)
        else if test -n "$typed"; or test "$word" != help
            set typed (string trim -- "$typed $word")
            set command (__hawser_name $typed)
        end
    end
    echo $typed
    echo "$command"
    echo $args
end

# Whether exactly one of these words was typed.
function __hawser_after
    set -l typed (__hawser_typed)
    test -z "$typed[2]"; and contains -- "$typed[1]" $argv
end

# Whether the command is one of these.
function __hawser_in
    set -l typed (__hawser_typed)
    test -n "$typed[2]"; and contains -- $typed[2] $argv
end

# Whether an argument of the command $argv[1] is typed, of those from $argv[2] to $argv[3].
function __hawser_at
    set -l typed (__hawser_typed)
    test "$typed[2]" = $argv[1]; and test $typed[3] -ge (math $argv[2] - 1); and test $typed[3] -lt $argv[3]
end

# Runs hawser over the store of the command line.
function __hawser_run
    set -l words (string replace -r -- '^~/' "$HOME/" (commandline -opc))
    set -l run $words[1]
    set -l next ''
    for word in $words[2..-1]
        if test -n "$next"
            set run $run $next=$word
            set next ''
        else if contains -- $word --root --namespace -n --address -a
            set next $word
        else if string match -qr -- '^(--root|--namespace|-n|--address|-a)=' $word
            set run $run $word
        end
    end
    $run $argv 2>/dev/null
end
`;
