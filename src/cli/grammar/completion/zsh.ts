/** The completion for zsh 5 and newer: the specifications that _arguments takes, out of the grammar. */
import type { AnyFlag } from '../flag.ts';
import { namesOf, type Typed, type TypedCommand, type Values, valuedFlags, valuesOfFlag } from './typed.ts';

export function zshCompletion(grammar: Typed): string {
  const { commands, groups, words, globals } = grammar;
  return `#compdef hawser
# zsh completion of hawser, made by: hawser completion zsh
# To use it: name this file _hawser and put it into a directory of fpath.

# Each way to type a command, and its full name.
typeset -gA _hawser_names=(
${commands.flatMap((one) => one.spellings.map((way) => `  ${quoted(way)} ${quoted(one.name)}\n`)).join('')})

# The flags that take a value.
typeset -ga _hawser_valued=(${valuedFlags(grammar).flatMap(namesOf).join(' ')})

# What can follow the words $typed.
_hawser_words() {
  local -a found
  case $typed in
${wordCase("''", words)}${groups.map((one) => wordCase(one.names.map(quoted).join(' | '), one.words)).join('')}  esac
  _describe -t commands 'command of hawser' found
}

# The flags and arguments of the command $1.
_hawser_arguments() {
  case $1 in
${commands.map(argumentsCase).join('')}    *) _arguments -S${specs(globals)} '*: :_hawser_words' ;;
  esac
}

${CODE}`;
}

function wordCase(pattern: string, words: Typed['words']): string {
  const rows = words.map(
    ([word, summary]) => `        ${quoted(`${word}:${summary.replaceAll(':', '\\:')}`)}\n`,
  );
  return `    ${pattern})\n      found=(\n${rows.join('')}      ) ;;\n`;
}

function argumentsCase({ name, flags, args, open }: TypedCommand): string {
  const last = args.length - 1;
  const positions = args.map((values, at) => `${open && at === last ? '*' : at + 1}: :${actionOf(values)}`);
  const listed = positions.map((one) => ` \\\n        ${quoted(one)}`).join('');
  return `    ${quoted(name)})\n      _arguments -S${specs(flags)}${listed} ;;\n`;
}

function specs(flags: readonly AnyFlag[]): string {
  return flags.map((flag) => ` \\\n        ${specOf(flag)}`).join('');
}

/** `'(--quiet -q)'{--quiet,-q}'[print names only]'`; a flag that may be repeated begins with \`*\`. */
function specOf(flag: AnyFlag): string {
  const names = namesOf(flag);
  const valued = flag.type !== 'bool';
  const forms = names.map((name) => (valued ? `${name}=` : name));
  const spelled = forms.length > 1 ? `{${forms.join(',')}}` : (forms[0] ?? '');
  const excluded = flag.type === 'list' ? "'*'" : quoted(`(${names.join(' ')})`);
  const value = valued ? `:${escaped(flag.value ?? 'value')}:${actionOf(valuesOfFlag(flag))}` : '';
  return `${excluded}${spelled}${quoted(`[${escaped(flag.describe)}]${value}`)}`;
}

function actionOf(values: Values): string {
  if (typeof values !== 'string') return `(${values.words.join(' ')})`;
  return {
    images: '_hawser_images',
    blobs: '_hawser_blobs',
    directories: '_files -/',
    files: '_files',
    nothing: ' ',
  }[values];
}

/** What _arguments would take for the end of a part. */
function escaped(text: string): string {
  return text.replaceAll(/[\\:[\]]/g, '\\$&');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The same for every grammar. */
const CODE = `_hawser_images() {
  local -a found=(\${(f)"$("$run[@]" images ls -q 2> /dev/null)"})
  compadd "$@" -a found
}

_hawser_blobs() {
  local -a found=(\${(f)"$("$run[@]" content ls -q 2> /dev/null)"})
  compadd "$@" -a found
}

_hawser() {
  local word typed='' command=''
  local -a kept=("$words[1]") run=("\${words[1]/#\\~\\//$HOME/}")
  integer at
  # _arguments gets the words without those that name the command.
  for ((at = 2; at < CURRENT; at++)); do
    word=$words[at]
    if [[ $word == -?* ]]; then
      kept+=("$word")
      if ((_hawser_valued[(Ie)$word] && at + 1 < CURRENT)); then
        kept+=("$words[++at]")
      fi
      case $word in
        --root=* | --namespace=* | -n=* | --address=* | -a=*) run+=("$word") ;;
        --root | --namespace | -n | --address | -a) run+=("$word=\${words[at]/#\\~\\//$HOME/}") ;;
      esac
    elif [[ -n $command ]]; then
      kept+=("$word")
    elif [[ -n $typed || $word != help ]]; then
      typed+=\${typed:+ }$word
      command=\${_hawser_names[$typed]}
    fi
  done
  words=("$kept[@]" "\${(@)words[CURRENT,-1]}")
  CURRENT=$(($#kept + 1))
  _hawser_arguments "$command"
}

if [[ $funcstack[1] == _hawser ]]; then
  _hawser "$@"
else
  compdef _hawser hawser
fi
`;
