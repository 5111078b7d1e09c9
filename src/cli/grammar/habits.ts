/** Words and flags of other tools (ctr, docker, podman, crane, skopeo, regctl, oras, umoci), and what they are here. */
import { readFlag } from './flag.ts';

/**
 * The words typed, and the command line of ours: `$1` is the first argument, `$@` all of them, `$digest` the digest after the
 * first one's `@` or the second one, `$platform` the flag --platform where it was typed. A test checks that each can be typed.
 */
export const COMMANDS: Readonly<Record<string, string>> = {
  rmi: 'images rm $@',
  inspect: 'images inspect $1',
  'inspect --raw': 'manifest $1',
  'inspect --config': 'config $1',
  'manifest inspect': 'manifest $platform$1',
  'manifest fetch': 'manifest $platform$1',
  'manifest get': 'manifest $platform$1',
  'manifest head': 'digest $platform$1',
  'manifest digest': 'digest $platform$1',
  'manifest fetch-config': 'config $platform$1',
  'buildx imagetools inspect': 'manifest $1',
  'images digest': 'digest $platform$1',
  'images manifest': 'manifest $platform$1',
  'images config': 'config $platform$1',
  ls: 'tags $1',
  'list-tags': 'tags $1',
  'tag ls': 'tags $1',
  'tag list': 'tags $1',
  'repo tags': 'tags $1',
  'repo show-tags': 'tags $1',
  'repo ls': 'catalog $1',
  'repo list': 'catalog $1',
  discover: 'referrers $1',
  'artifact list': 'referrers $1',
  'artifact tree': 'referrers $1',
  blob: 'content fetch-blob $1 $digest',
  'blob get': 'content fetch-blob $1 $digest',
  'blob fetch': 'content fetch-blob $1 $digest',
  history: 'images inspect --content $1',
  stat: 'images inspect $1',
  validate: 'content fetch $1',
  save: 'export FILE $@',
  load: 'import FILE',
  'raw unpack': 'unpack $1 --rootfs DIR',
  'images get-file': 'unpack $1 --rootfs DIR',
  'images exists': 'images ls -q name==$1',
  info: 'version',
  'system df': 'df',
  'system prune': 'gc',
};

const COPIES =
  'hawser content fetch REF stores an image in an OCI layout (ROOT/content); skopeo copy and oras cp copy elsewhere';
const CONTAINERS =
  'hawser runs nothing: hawser bundle REF DIR makes a bundle, and runc run --bundle DIR NAME runs it';
const LOGINS =
  'hawser reads the credentials that docker login and podman login store; or use --user NAME with each command';
const UNUSED = 'hawser images rm REF removes an image and, at once, all that only it used';

/** The words typed, and a sentence where no command of ours does the same. */
export const SENTENCES: Readonly<Record<string, string>> = {
  'images convert': COPIES,
  copy: COPIES,
  cp: COPIES,
  sync: COPIES,
  'images copy': COPIES,
  push: 'hawser does not push: skopeo copy oci:ROOT/content:REF docker://REF does, from the store of hawser',
  'images push':
    'hawser does not push: skopeo copy oci:ROOT/content:REF docker://REF does, from the store of hawser',
  login: LOGINS,
  logout: LOGINS,
  auth: LOGINS,
  registry: LOGINS,
  search: 'hawser has no search: hawser catalog HOST lists the repositories of a registry that tells them',
  tag: 'hawser images tag REF NEW-REF makes another name for an image',
  run: CONTAINERS,
  create: CONTAINERS,
  exec: CONTAINERS,
  start: CONTAINERS,
  ps: CONTAINERS,
  c: CONTAINERS,
  container: CONTAINERS,
  containers: CONTAINERS,
  task: CONTAINERS,
  tasks: CONTAINERS,
  system: UNUSED,
  delete: 'hawser images rm REF removes an image here, skopeo delete one at a registry',
  plugins: 'hawser has no plugins',
};

/** A flag of another tool. */
interface FlagHabit {
  /** What it is here; '' where another of its flags says the same. */
  readonly ours: string;
  /** Of a flag without a value: whether it asks for `ours` when on or when off. The other is what hawser does anyway. */
  readonly asks?: 'on' | 'off';
}

/** Flags of other tools that no command of ours has. */
export const FLAGS: Readonly<Record<string, FlagHabit>> = {
  insecure: { ours: '--plain-http', asks: 'on' },
  'insecure-registry': { ours: '--plain-http', asks: 'on' },
  'tls-verify': { ours: '--skip-verify', asks: 'off' },
  creds: { ours: '--user' },
  username: { ours: '--user' },
};

/** After a user's name: hawser asks for the password. */
const BESIDE_USERNAME: Readonly<Record<string, FlagHabit>> = { password: { ours: '' } };

/** Flags that some of our commands have, but not this one, and what this one has. */
const FLAGS_OF: Readonly<Record<string, FlagHabit>> = {
  'images pull --quiet': { ours: '--progress none', asks: 'on' },
  'content fetch --quiet': { ours: '--progress none', asks: 'on' },
  'snapshots diff --keep': { ours: '--store', asks: 'on' },
};

/** The hint for words that name no command; `words` begins with the name of the group, if one was meant. `least`: words of a key. */
export function commandHabit(
  args: readonly string[],
  words: readonly string[],
  least = 1,
): string | undefined {
  for (let length = Math.min(words.length, 3); length >= least; length--) {
    const typed = words.slice(0, length).join(' ');
    const form = args.map((arg) => `${typed} ${arg}`).find((key) => Object.hasOwn(COMMANDS, key));
    const ours = own(COMMANDS, form ?? typed);
    if (ours !== undefined) return inHawser(fill(ours, words.slice(length), args));
    const sentence = own(SENTENCES, typed);
    if (sentence !== undefined) return sentence;
  }
  return undefined;
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
  const known = names.includes('username') ? { ...FLAGS, ...BESIDE_USERNAME } : FLAGS;
  if (here === undefined && own(known, name) === undefined) return undefined;
  const ours: string[] = [];
  const shown = withoutSecrets(args);
  for (let at = 0; at < shown.length; at++) {
    const habit = at === index && here !== undefined ? here : own(known, names[at] ?? '');
    if (habit === undefined) ours.push(quoted(shown[at] ?? ''));
    else {
      const [words, taken] = translated(habit, shown, at);
      ours.push(...words);
      at += taken - 1;
    }
  }
  return inHawser(ours.join(' '));
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

function fill(ours: string, given: readonly string[], typed: readonly string[]): string {
  const args = given.map((arg) => quoted(arg.replace(TRANSPORT, '')));
  const [first = 'REF', second = 'DIGEST'] = args;
  const [, name = first, digest = second] = /^(.+)@(sha\d+:[0-9a-f]+)$/.exec(first) ?? [];
  const values: Readonly<Record<string, string>> = {
    $1: ours.includes('$digest') ? name : first,
    '$@': args.length === 0 ? 'REF' : args.join(' '),
    $digest: digest,
    $platform: platformFlag(typed),
  };
  return ours.replace(/\$(?:1|@|digest|platform)/g, (name) => values[name] ?? name);
}

/** `--platform VALUE `; '' where none was typed. */
function platformFlag(args: readonly string[]): string {
  const at = args.findIndex((arg) => readFlag(arg)?.name === 'platform');
  const value = readFlag(args[at] ?? '')?.value ?? args[at + 1];
  return at < 0 || value === undefined ? '' : `--platform ${quoted(value)} `;
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
