/** hawser.toml: what the system and the user have set for all commands. */
import { parse, type TomlTable, type TomlValue } from 'smol-toml';
import { absolutePath } from '../../core/absolute-path.ts';
import { HawserError, hintOf, ifFound, isKind, kindOf, messageOf, wrap } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Runtime } from '../../core/runtime.ts';
import { OVERFLOW_UID, readIdMaps } from '../../core/users/id-map.ts';
import { checkFile } from '../../core/users/owned-path.ts';
import { POLICY_KEYS } from '../../core/verbs/policy-file.ts';
import type { AnyFlag } from '../grammar/flag.ts';
import { CONFIG, type GlobalFlag } from '../grammar/flags.ts';
import type { Given, Input, Source } from '../grammar/input.ts';
import { SETTINGS, type Setting } from '../grammar/settings.ts';
import { usageError } from '../grammar/usage-error.ts';

const SYSTEM = '/etc/hawser/hawser.toml';
const MAX_BYTES = 1 << 20;
const INSTEAD = '--config FILE takes another file, --config none takes no file';
/** In the place of a path. */
const WORDS: readonly string[] = ['', 'none', 'system'];

type SettingsRuntime = Pick<Runtime, 'fs' | 'host' | 'syscalls'>;

export interface SettingsFile {
  readonly path: string;
  readonly state: 'absent' | 'read';
  readonly source: Source | undefined;
}

/**
 * The files that are heeded, the nearest to the user first: that of --config alone ("none": no file), else the user's and the system's
 * (`systemOnly`: the system's). A file with a key that is unknown, or a value that is bad, is InvalidArgument with file, line and key.
 */
export async function settingsFiles(
  runtime: SettingsRuntime,
  input: Input<GlobalFlag>,
  { systemOnly = false, ...call }: Call & { readonly systemOnly?: boolean },
): Promise<SettingsFile[]> {
  const named = input.get(CONFIG);
  if (named === 'none') return [];
  if (named !== undefined) {
    const path = absolutePath(named, runtime.host);
    const bytes = await runtime.fs.readFile(path, MAX_BYTES, call).catch((err) => {
      throw wrap(`Cannot read the configuration "${named}"`, err);
    });
    return [fileOf(path, bytes)];
  }
  const user = systemOnly ? undefined : userFile(runtime.host);
  return [
    ...(user === undefined ? [] : [await readUsers(runtime, user, call)]),
    await readIfAny(runtime, SYSTEM, call),
  ];
}

function userFile({ env }: Runtime['host']): string | undefined {
  const [config, home] = [env('XDG_CONFIG_HOME') ?? '', env('HOME') ?? ''];
  const dir = config.startsWith('/') ? config : home.startsWith('/') ? `${home}/.config` : undefined;
  return dir === undefined ? undefined : `${dir}/hawser/hawser.toml`;
}

/**
 * Whoever can write the file says where root's store is, and what a policy asks: only root may, where root runs hawser, and else the user or root.
 * PermissionDenied for a file that is there and is another's: without the file its policies would not hold.
 */
async function readUsers(runtime: SettingsRuntime, path: string, call: Call): Promise<SettingsFile> {
  const found = await ifFound(runtime.fs.stat(path, { follow: true, ...call }), 'PermissionDenied');
  if (found === undefined) return { path, state: 'absent', source: undefined };
  try {
    await (runtime.host.uid === 0 ? checkRoots : checkOwn)(runtime, path, call);
  } catch (err) {
    call.signal?.throwIfAborted();
    throw new HawserError(kindOf(err), `Cannot trust the configuration ${path}: ${messageOf(err)}`, {
      hint: `${hintOf(err) ?? trustHint(runtime.host)}; ${INSTEAD}`,
      cause: err,
    });
  }
  return await readIfAny(runtime, path, call);
}

/** What makes a file trusted. Deno may hide who the user is: then the uid is that of `nobody`. */
function trustHint({ runtime, uid }: Runtime['host']): string {
  return runtime === 'deno' && uid === OVERFLOW_UID
    ? 'Allow Deno to ask who the user is (--allow-sys=uid)'
    : 'Only root and the user who runs hawser may own, or write to, the file and the directories above';
}

/** Throws when others than root could have written the file, or could replace the file or a directory on its way. */
async function checkRoots({ fs, syscalls }: SettingsRuntime, path: string, call: Call): Promise<void> {
  checkFile(await syscalls(), path, [0], [0, ...(await unmapped(fs, call))]);
}

/** The same of a user, whose group may write: a umask of 002 is usual. */
async function checkOwn({ fs, host }: SettingsRuntime, path: string, call: Call): Promise<void> {
  const above = [0, host.uid, ...(await unmapped(fs, call))];
  const names = path.split('/').slice(1);
  for (const at of names.keys()) {
    const one = `/${names.slice(0, at + 1).join('/')}`;
    const owners = one === path ? [0, host.uid] : above;
    const info = await ifFound(fs.stat(one, { follow: true, ...call }), 'PermissionDenied');
    if (info !== undefined && !owners.includes(info.uid))
      throw new HawserError('PermissionDenied', `${one} belongs to user ${info.uid}`);
  }
}

/** In a user namespace, whom `/` and `/home` belong to: root outside, who is not mapped there. */
async function unmapped(fs: SettingsRuntime['fs'], call: Call): Promise<readonly number[]> {
  return (await readIdMaps(fs, call)).isNamespace ? [OVERFLOW_UID] : [];
}

/** Deno may forbid to look: then there is none. A file that can be seen is read, or is an error. */
async function readIfAny({ fs }: Pick<Runtime, 'fs'>, path: string, call: Call): Promise<SettingsFile> {
  try {
    const bytes = await ifFound(fs.readFile(path, MAX_BYTES, call));
    if (bytes !== undefined) return fileOf(path, bytes);
  } catch (err) {
    if (!isKind(err, 'PermissionDenied')) throw err;
    const seen = await ifFound(fs.stat(path, { follow: true, ...call }), 'PermissionDenied');
    if (seen !== undefined)
      throw wrap(
        `Cannot use the configuration ${path}`,
        err,
        `The user who runs hawser has to read it; ${INSTEAD}`,
      );
  }
  return { path, state: 'absent', source: undefined };
}

function fileOf(path: string, bytes: Uint8Array): SettingsFile {
  const text = new TextDecoder().decode(bytes);
  const given = valuesOf(path, text);
  return { path, state: 'read', source: (flag) => given.get(flag) };
}

/** The texts of each flag that the file sets. */
export function valuesOf(path: string, text: string): ReadonlyMap<AnyFlag, Given> {
  const at = (key: string): string => `${key} (line ${lineOf(text, key)} of ${path})`;
  const values = new Map<AnyFlag, Given>();
  for (const [key, value] of keysOf(parseText(path, text))) {
    const setting = SETTINGS.find((one) => one.key === key);
    if (setting === undefined) throw unknownSetting(key, at(key));
    const texts = textsOf(setting, value);
    if (texts === undefined) throw invalid(`${at(key)}: want ${wantOf(setting)}`);
    const relative = /DIR|FILE|PATH|SOCKET/.test(setting.flag.value ?? '')
      ? texts.find((one) => !/^(?:\/|unix:)/.test(one) && !WORDS.includes(one))
      : undefined;
    if (relative !== undefined) throw invalid(`${at(key)}: want an absolute path, not "${relative}"`);
    checkValue(setting, texts, at(key));
    values.set(setting.flag, { texts, from: at(key) });
  }
  return values;
}

function checkValue({ flag }: Setting, texts: readonly string[], from: string): void {
  try {
    flag.parse(texts, from);
  } catch (err) {
    throw invalid(messageOf(err));
  }
}

function parseText(path: string, text: string): TomlTable {
  try {
    return parse(text);
  } catch (err) {
    const line = (err as { readonly line?: unknown }).line;
    const where = typeof line === 'number' ? `${path}, line ${line}` : path;
    throw invalid(`${where}: ${messageOf(err).split('\n')[0]}`);
  }
}

/** Keys with their tables; a table that is none of ours is a key itself. */
function* keysOf(table: TomlTable): Generator<readonly [key: string, value: TomlValue]> {
  for (const [name, value] of Object.entries(table)) {
    const isTable = SETTINGS.some(({ key }) => key.startsWith(`${name}.`));
    if (!isTable || typeof value !== 'object' || Array.isArray(value) || value instanceof Date) {
      yield [name, value];
      continue;
    }
    for (const [key, inner] of Object.entries(value as TomlTable)) yield [`${name}.${key}`, inner];
  }
}

/** Undefined for a value of the wrong type. */
function textsOf({ flag }: Setting, value: TomlValue): string[] | undefined {
  if (flag.type === 'bool') return typeof value === 'boolean' ? [String(value)] : undefined;
  if (Array.isArray(value))
    return flag.type === 'list' && value.every((one) => typeof one === 'string') ? value : undefined;
  if (typeof value === 'number' || typeof value === 'bigint')
    return flag.type === 'count' || flag.type === 'size' ? [String(value)] : undefined;
  return typeof value === 'string' ? [value] : undefined;
}

function wantOf({ flag }: Setting): string {
  const wants: Partial<Record<typeof flag.type, string>> = {
    bool: 'true or false',
    count: 'a whole number',
    list: 'a text, or a list of texts',
    size: 'bytes as a number, or a text such as "10M"',
  };
  return wants[flag.type] ?? 'a text';
}

/** The line of a key (from 1), as far as lines tell: of `[table]` and `key = ` or of a dotted key. */
function lineOf(text: string, key: string): number {
  let table = '';
  for (const [index, line] of text.split('\n').entries()) {
    const [, header] = /^\s*\[\s*([\w."-]+)\s*\]/.exec(line) ?? [];
    if (header !== undefined) table = `${header.replaceAll('"', '')}.`;
    const [, name = header] = /^\s*([\w."-]+)\s*=/.exec(line) ?? [];
    const full = name === undefined ? '' : name === header ? header : `${table}${name.replaceAll('"', '')}`;
    if (full === key || full.startsWith(`${key}.`)) return index + 1;
  }
  return 1;
}

/** The rules for the images of a store are looked for here, too. */
function unknownSetting(key: string, at: string): HawserError {
  const rule = key.slice(key.lastIndexOf('.') + 1);
  const message = `${at} is no setting of hawser`;
  if (!POLICY_KEYS.includes(rule)) return invalid(message);
  return usageError(message, `${rule} is a rule of policy.toml in the root of the store: see hawser help gc`);
}

function invalid(message: string): HawserError {
  return usageError(
    message,
    'hawser settings --config none lists the settings; --config none runs a command without the file',
  );
}
