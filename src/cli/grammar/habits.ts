/** What is typed as in another tool, and the hint that says how hawser has it; see habit-tables.ts. */
import { readFlag } from './flag.ts';
import {
  BESIDE_USERNAME,
  COMMANDS,
  FLAGS,
  FLAGS_OF,
  type FlagHabit,
  INCOMPLETE,
  SENTENCES,
} from './habit-tables.ts';

/** The hint for words that name no command; `words` begins with the name of the group, if one was meant. */
export function commandHabit(args: readonly string[], words: readonly string[]): string | undefined {
  for (let length = Math.min(words.length, 3); length > 0; length--) {
    const hint =
      shapeHint(args, words, length)?.hint ?? hintFor(words.slice(0, length).join(' '), args, words, length);
    if (hint !== undefined) return hint;
  }
  return undefined;
}

export interface Foreign {
  /** What hawser does not have. */
  readonly message: string;
  readonly hint: string;
}

/** The same for words that begin with a command of ours, and go on as in another tool: `manifest get REF`, `inspect --raw REF`. */
export function foreignHabit(args: readonly string[], words: readonly string[]): Foreign | undefined {
  for (let length = Math.min(words.length - 1, 3); length > 1; length--) {
    const typed = words.slice(0, length).join(' ');
    const hint = hintFor(typed, args, words, length);
    if (hint !== undefined) return { message: `unknown command "${typed}"`, hint };
  }
  for (let length = Math.min(words.length, 2); length > 0; length--) {
    const { hint, shape = '' } = shapeHint(args, words, length) ?? {};
    const typed = words.slice(0, length).join(' ');
    const message = shape.startsWith('-')
      ? `unknown command "${typed} ${shape}"`
      : `${typed}: hawser does not know this form of it`;
    if (hint !== undefined) return { message, hint };
  }
  return undefined;
}

/** By the shape of an argument, which may be a flag. */
function shapeHint(
  args: readonly string[],
  words: readonly string[],
  length: number,
): { readonly hint: string; readonly shape: string } | undefined {
  const typed = words.slice(0, length).join(' ');
  for (const shape of shapesOf(args, words)) {
    // Where a copy goes stands after what is copied.
    if (shape.startsWith('...') && words.length < length + 2) continue;
    const hint = hintFor(`${typed} ${shape}`, args, words, length);
    if (hint !== undefined) return { hint, shape };
  }
  return undefined;
}

function hintFor(
  key: string,
  args: readonly string[],
  words: readonly string[],
  length: number,
): string | undefined {
  const ours = own(COMMANDS, key);
  return ours === undefined ? own(SENTENCES, key) : inHawser(fill(ours, words.slice(length), args));
}

const TRANSPORTS = /^(?:docker:\/\/|ocidir:\/\/|oci-archive:|docker-archive:|oci:)/;
const ARCHIVE = /\.(?:tar|tgz|tar\.\w+)$/;

/** What arguments look like: flags (`-a` only after the command, where it is docker's), then the words from the last one on, as a copy is named by where it goes. */
function shapesOf(args: readonly string[], words: readonly string[]): string[] {
  const begin = args.findIndex((arg, at) => !isFlag(arg) && !isFlag(args[at - 1] ?? ''));
  const isTheirs = (arg: string, at: number) => at > begin && !isAddress(arg, args[at + 1]);
  const flags = args.filter((arg, at) => isFlag(arg) && (isTheirs(arg, at) || !/^-a(?:=|$)/.test(arg)));
  const shapes = words
    .toReversed()
    .map((word) => TRANSPORTS.exec(word)?.[0] ?? (ARCHIVE.test(word) ? '*.tar' : word === '-' ? '-' : ''));
  return [...flags.map((flag) => flag.split('=')[0] ?? ''), `...${shapes[0]}`, ...shapes];
}

/** `-a SOCKET`, `-a=SOCKET`. */
function isAddress(arg: string, next = ''): boolean {
  const { name, value = next } = readFlag(arg) ?? {};
  return name === 'a' && isSocket(value);
}

function isFlag(arg: string): boolean {
  return readFlag(arg) !== undefined;
}

/** A value of -a, which stands for all images or tags in docker. */
export function isSocket(value: string): boolean {
  return /^(?:[/.]|unix:)/.test(value);
}

/** The hint for the flag `name` at `args[index]`, which no command has, or which `command` has not. */
export function flagHabit(
  args: readonly string[],
  index: number,
  name: string,
  command = '',
): string | undefined {
  const here = own(FLAGS_OF, `${command} --${name}`);
  const names = args.map((arg) => readFlag(arg)?.name);
  const known =
    names.includes('username') || args.includes('login') ? { ...FLAGS, ...BESIDE_USERNAME } : FLAGS;
  if (here === undefined && own(known, name) === undefined) return undefined;
  const ours: string[] = [];
  const shown = withoutSecrets(args);
  for (let at = 0; at < shown.length; at++) {
    const habit = at === index && here !== undefined ? here : own(known, names[at] ?? '');
    if (habit === undefined) ours.push(quoted((shown[at] ?? '').replace(TRANSPORT, '')));
    else {
      const [words, taken] = translated(habit, shown, at);
      ours.push(...words);
      at += taken - 1;
    }
  }
  return inHawser(ours.filter((word) => word !== '').join(' '));
}

/** Our words for the flag at `args[at]` with its value, and how many of `args` they stand for. */
function translated(
  { ours, asks }: FlagHabit,
  args: readonly string[],
  at: number,
): readonly [words: readonly string[], taken: number] {
  const inline = readFlag(args[at] ?? '')?.value;
  const next = args[at + 1];
  if (asks === undefined) return withValue(ours, inline, next);
  const apart = inline === undefined && (next === 'true' || next === 'false');
  const value = inline ?? (apart ? next : 'true');
  const asked = asks === 'on' ? /^(?:1|t|true)$/i : /^(?:0|f|false)$/i;
  return [asked.test(value) ? [ours] : [], apart ? 2 : 1];
}

/** A flag that takes a value keeps the value, in one word or in two; `ours` empty: both go. */
function withValue(
  ours: string,
  inline: string | undefined,
  next: string | undefined,
): readonly [words: readonly string[], taken: number] {
  const apart = inline === undefined && next !== undefined;
  const taken = apart ? 2 : 1;
  if (ours === '') return [[], taken];
  if (apart) return [[ours, quoted(next)], taken];
  return [[inline === undefined ? ours : `${ours}=${quoted(inline)}`], taken];
}

/** Whether other tools have this flag of ours for something else. */
export function isForeignFlag(command: string, name: string): boolean {
  return own(FLAGS_OF, `${command} --${name}`) !== undefined;
}

/** The hint for a command of which an argument is missing. */
export function incompleteHabit(command: string): string | undefined {
  return own(INCOMPLETE, command);
}

/** The hint for an argument in skopeo's form. */
export function referenceHabit(args: readonly string[]): string {
  return inHawser(
    withoutSecrets(args)
      .map((arg) => quoted(arg.replace(TRANSPORT, '')))
      .join(' '),
  );
}

/** skopeo's and podman's name for a registry, before a reference. */
export const TRANSPORT: RegExp = /^docker:\/\//;

export function inHawser(line: string): string {
  return `In hawser: hawser ${line}`;
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function fill(ours: string, words: readonly string[], typed: readonly string[]): string {
  const [output, input] = [valueOfFlag(typed, 'o', 'output'), valueOfFlag(typed, 'i', 'input')];
  const layout =
    valueOfFlag(typed, 'image') ?? valueOfFlag(typed, 'layout') ?? valueOfFlag(typed, 'to-oci-layout');
  const values = [output, input, layout, valueOfFlag(typed, 'format')];
  // Values of flags that no command has are among the words.
  const given = words.filter((word) => !values.includes(word));
  const args = given.map((arg) => quoted(arg.replace(TRANSPORT, '')));
  const [first = 'REF', second] = args;
  const [, name = first, digest = second ?? 'DIGEST'] = /^(.+)@(sha\d+:[0-9a-f]+)$/.exec(first) ?? [];
  const file = given.find((arg) => ARCHIVE.test(arg))?.replace(TRANSPORTS, '');
  const filled: Readonly<Record<string, string>> = {
    $1: ours.includes('$digest') ? name : first,
    $to: second === undefined ? '' : `${second} `,
    '$@': args.length === 0 ? 'REF' : args.join(' '),
    $digest: digest,
    $2: second ?? 'PATH',
    $platform: platformFlag(typed),
    $all: typed.includes('--all') ? '--all-platforms ' : '',
    $output: quoted(output ?? '-'),
    $input: quoted(input ?? '-'),
    $target: args.find((arg) => !ARCHIVE.test(arg)) ?? 'REMOTE',
    $file: quoted(file ?? 'FILE.tar'),
    $layout: quoted(layoutOf(layout ?? given[1] ?? 'DIR')),
  };
  const names = /\$(?:[12@]|digest|platform|all|output|input|file|target|to|layout)/g;
  return ours.replace(names, (one) => filled[one] ?? one);
}

/** skopeo's `oci:DIR:NAME`, umoci's and oras's `DIR:NAME`, as a directory. */
function layoutOf(text: string): string {
  return `${text.replace(TRANSPORTS, '').replace(/:.*$/, '').replace(/\/+$/, '')}/`;
}

function valueOfFlag(args: readonly string[], ...names: readonly string[]): string | undefined {
  const at = args.findIndex((arg) => names.includes(readFlag(arg)?.name ?? ''));
  return at < 0 ? undefined : (readFlag(args[at] ?? '')?.value ?? args[at + 1]);
}

/** `--platform VALUE `; '' where none was typed. */
function platformFlag(args: readonly string[]): string {
  const value = valueOfFlag(args, 'platform');
  return value === undefined ? '' : `--platform ${quoted(value)} `;
}

/** A hint must not repeat a secret. */
function withoutSecrets(args: readonly string[]): string[] {
  const secret = /^--?(?:u|user|refresh|creds|username|password|p)$/;
  return args.map((arg, at) => {
    if (secret.test(args[at - 1] ?? '')) return '...';
    return arg.replace(/^(--?(?:u|user|refresh|creds|username|password|p)=).*$/s, '$1...');
  });
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
