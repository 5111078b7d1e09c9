/** The completion for bash 4 and newer: tables out of the grammar, and functions that look the words up in them. */
import { namesOf, type Typed, type TypedCommand, type Values, valuedFlags, valuesOfFlag } from './typed.ts';

export function bashCompletion(grammar: Typed): string {
  const { commands } = grammar;
  return [
    '# bash completion of hawser, made by: hawser completion bash',
    '# For this shell alone: . <(hawser completion bash)',
    '# For all: in /etc/bash_completion.d, or as ~/.local/share/bash-completion/completions/hawser\n',
    table('_hawser_words', 'The words that can follow the words $1.', wordRows(grammar)),
    table('_hawser_command', 'The full name of the command that is typed as $1.', nameRows(grammar)),
    table('_hawser_flags', 'The flags of the command $1.', flagRows(grammar)),
    table(
      '_hawser_value',
      'How the value of the flag $1 is completed; nothing without a value.',
      valueRows(grammar),
    ),
    table(
      '_hawser_argument',
      'How an argument is completed: $1 is the command and a number from 1.',
      commands.flatMap(argumentRows),
    ),
    CODE,
  ].join('\n');
}

type Row = readonly [pattern: string, output: string];

function table(name: string, about: string, rows: readonly Row[]): string {
  const cases = rows.map(([pattern, output]) => `    ${pattern}) echo '${output}' ;;\n`).join('');
  return `# ${about}\n${name}() {\n  case $1 in\n${cases}  esac\n}\n`;
}

function wordRows({ words, groups }: Typed): Row[] {
  const join = (list: Typed['words']): string => list.map(([word]) => word).join(' ');
  return [["''", join(words)], ...groups.map((one): Row => [anyOf(one.names), join(one.words)])];
}

function nameRows({ commands }: Typed): Row[] {
  return commands.map(({ name, spellings }) => [anyOf(spellings), name]);
}

function flagRows({ commands, globals }: Typed): Row[] {
  const listed = (list: TypedCommand['flags']): string => list.flatMap(namesOf).join(' ');
  return [...commands.map((one): Row => [`'${one.name}'`, listed(one.flags)]), ["''", listed(globals)]];
}

function valueRows(grammar: Typed): Row[] {
  return valuedFlags(grammar).map((flag) => [namesOf(flag).join(' | '), kindOf(valuesOfFlag(flag))]);
}

function argumentRows({ name, args, open }: TypedCommand): Row[] {
  return args.map((values, at) => [
    open && at === args.length - 1 ? `'${name} '*` : `'${name} ${at + 1}'`,
    kindOf(values),
  ]);
}

/** `@` and the kind, or the words themselves. */
function kindOf(values: Values): string {
  return typeof values === 'string' ? `@${values}` : values.words.join(' ');
}

function anyOf(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(' | ');
}

/** The same for every grammar. */
const CODE = `# Splits the command line up to the cursor into the array words. bash splits at ':' and '=' too; that is undone.
_hawser_split() {
  local line=$COMP_LINE word at
  words=()
  for ((at = 0; at <= COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    if ((at > 0)) && [[ -n $line && $line != [[:space:]]* ]]; then
      words[\${#words[@]} - 1]+=$word
    else
      line=\${line#"\${line%%[![:space:]]*}"}
      words+=("$word")
    fi
    line=\${line#"$word"}
  done
}

# Prints those of the lines $2 that begin with $1. Names that the shell would read as more than a word are left out.
_hawser_match() {
  local one
  while IFS= read -r one; do
    [[ $one != "$1"* || $one == *[!A-Za-z0-9@:/._+-]* ]] || printf '%s\\n' "$one"
  done <<< "$2"
}

# Prints what completes $2 in the way $1. The other arguments run hawser over the store of the command line.
_hawser_complete() {
  local way=$1 current=$2
  shift 2
  case $way in
    @images) _hawser_match "$current" "$("$@" images ls -q 2> /dev/null)" ;;
    @blobs) _hawser_match "$current" "$("$@" content ls -q 2> /dev/null)" ;;
    @directories) compgen -d -- "$current" ;;
    @files) compgen -f -- "$current" ;;
    '' | @nothing) ;;
    *) compgen -W "$way" -- "$current" ;;
  esac
}

_hawser() {
  local words word at typed='' command='' args=0 flag=''
  _hawser_split
  local last=$((\${#words[@]} - 1)) run=("\${words[0]/#'~/'/$HOME/}")
  for ((at = 1; at < last; at++)); do
    word=\${words[at]}
    if [[ $word == -?* ]]; then
      if [[ -n $(_hawser_value "$word") ]]; then
        at=$((at + 1))
        ((at < last)) || flag=$word
      fi
      case $word in
        --root=* | --namespace=* | -n=* | --address=* | -a=*) run+=("$word") ;;
        --root | --namespace | -n | --address | -a) run+=("$word=\${words[at]/#'~/'/$HOME/}") ;;
      esac
    elif [[ -n $command ]]; then
      args=$((args + 1))
    elif [[ -n $typed || $word != help ]]; then
      typed+=\${typed:+ }$word
      command=$(_hawser_command "$typed")
    fi
  done

  local current=\${words[last]} before='' way
  if [[ -n $flag ]]; then
    way=$(_hawser_value "$flag")
  elif [[ $current == -*=* ]]; then
    way=$(_hawser_value "\${current%%=*}")
    before=\${current%%=*}=
    current=\${current#*=}
  elif [[ $current == -* ]]; then
    way=$(_hawser_flags "$command")
  elif [[ -n $command ]]; then
    way=$(_hawser_argument "$command $((args + 1))")
  else
    way=$(_hawser_words "$typed")
  fi
  [[ $way != @directories && $way != @files ]] || compopt -o filenames 2> /dev/null

  # bash replaces only what follows the last ':' or '='.
  local kept=$before$current replaced=\${COMP_WORDS[COMP_CWORD]} found
  [[ $replaced == [:=] ]] || kept=\${kept%"$replaced"}
  COMPREPLY=()
  while IFS= read -r found; do
    [[ -z $found ]] || { found=$before$found && COMPREPLY+=("\${found#"$kept"}"); }
  done <<< "$(_hawser_complete "$way" "$current" "\${run[@]}")"
}

complete -F _hawser hawser
`;
