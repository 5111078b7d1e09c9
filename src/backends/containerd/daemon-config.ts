/** The image verifier's settings of a running containerd, from the configuration file that the process was started with. */
import { parse } from 'smol-toml';
import { parseDuration } from '../../core/duration.ts';
import { HawserError, ifFound, messageOf } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Syscalls } from '../../core/ports/syscalls.ts';
import type { Runtime } from '../../core/runtime.ts';
import { checkSocket } from '../../core/users/owned-path.ts';
import { NODE_VERIFIERS, type Verifiers } from '../../core/verifiers/verifiers.ts';
import type { Connection } from './connection.ts';

const DEFAULT_CONFIG = '/etc/containerd/config.toml';
const DEFAULT_IMPORT = '/etc/containerd/conf.d/*.toml';
const PLUGIN = 'io.containerd.image-verifier.v1.bindir';
const MAX_BYTES = 1 << 20;
const MAX_FILES = 256;

type Parts = Pick<Runtime, 'fs' | 'host' | 'syscalls'>;
type Table = Readonly<Record<string, unknown>>;

/**
 * FailedPrecondition when the settings cannot be found out: the daemon is in another pid or mount namespace, or a file cannot be
 * read; or when another user than root and this one could have made the socket, and name programs to run.
 */
export async function nodeVerifiers(connection: Connection, runtime: Parts, call: Call): Promise<Verifiers> {
  try {
    const sys = await runtime.syscalls();
    checkSocket(sys, connection.address, [0, runtime.host.uid]);
    const { pid, pidns } = await connection.call('introspection.v1.Introspection/Server', {}, call);
    checkNamespaces(sys, pid, pidns);
    const read = (path: string) => readText(runtime, path, call);
    const path = configPath(await read(`/proc/${pid}/cmdline`), `/proc/${pid}/cwd`);
    return verifiersIn(await pluginTable(runtime, path, call));
  } catch (err) {
    call.signal?.throwIfAborted();
    throw new HawserError(
      'FailedPrecondition',
      `Cannot find out which image verifiers the containerd at ${connection.address} has: ${messageOf(err)}`,
      {
        hint: 'Name their directory with --verifier none --verifier DIR, or --verifier none when the node has none',
        cause: err,
      },
    );
  }
}

/** The paths of the daemon are ours only in the same mount namespace; its pid only in the same pid namespace. */
function checkNamespaces(sys: Syscalls, pid: number, pidns: number): void {
  if (pid === 0) throw new Error('it does not say which process it is');
  const link = (process: number | 'self', name: string): string => {
    const dir = sys.openRoot(`/proc/${process}/ns`);
    try {
      return sys.readlink(dir, name);
    } finally {
      sys.closeDir(dir);
    }
  };
  if (link('self', 'pid') !== `pid:[${pidns}]`) throw new Error('it runs in another pid namespace');
  if (link('self', 'mnt') !== link(pid, 'mnt')) throw new Error('it runs in another mount namespace');
}

/** The value of --config. `cmdline`: arguments, each with a NUL after it. */
export function configPath(cmdline: string, cwd: string): string {
  const args = cmdline.split('\0').slice(1, -1);
  let path = DEFAULT_CONFIG;
  for (const [at, arg] of args.entries()) {
    const [, value] = /^--?c(?:onfig)?(?:=(.*))?$/s.exec(arg) ?? [undefined, null];
    if (value !== null) path = value ?? args[at + 1] ?? '';
  }
  return path.startsWith('/') ? path : `${cwd}/${path}`;
}

/** The plugin's table of all files; a later file overrides an earlier one key by key. */
async function pluginTable(runtime: Parts, path: string, call: Call): Promise<Table> {
  const loaded = new Set<string>();
  const pending = [path];
  let table: Table = {};
  let binDirOf = path;
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    if (loaded.has(next)) continue;
    if (loaded.size === MAX_FILES) throw new Error(`its configuration has more than ${MAX_FILES} files`);
    loaded.add(next);
    const text = await ifFound(readText(runtime, next, call));
    if (text === undefined && next !== DEFAULT_CONFIG) throw new Error(`${next} does not exist`);
    const file: Table = text === undefined ? { imports: [DEFAULT_IMPORT] } : parse(text);
    const own = tableOf(tableOf(file.plugins)[PLUGIN]);
    if ('bin_dir' in own) binDirOf = next;
    table = { ...table, ...own };
    for (const pattern of importsOf(file))
      pending.push(...(await matches(runtime, next, String(pattern), call)));
  }
  requireAbsolute(table, binDirOf);
  return table;
}

function importsOf({ imports }: Table): readonly unknown[] {
  return Array.isArray(imports) ? imports : [];
}

/** A relative directory depends on where the daemon runs: not found from here, every image would be let in unasked. */
function requireAbsolute({ bin_dir }: Table, file: string): void {
  if (bin_dir === undefined || bin_dir === '') return;
  if (typeof bin_dir === 'string' && bin_dir.startsWith('/')) return;
  throw new Error(`bin_dir in ${file} is no absolute path: ${JSON.stringify(bin_dir)}`);
}

/** The files of an import: a path, or a pattern with `*` in the last component. */
async function matches({ fs }: Parts, parent: string, pattern: string, call: Call): Promise<string[]> {
  const path = pattern.startsWith('/') ? pattern : `${parent.slice(0, parent.lastIndexOf('/'))}/${pattern}`;
  if (!path.includes('*')) return [path];
  const at = path.lastIndexOf('/');
  const [dir, last] = [path.slice(0, at), path.slice(at + 1)];
  if (/[*?[\\]/.test(dir) || /[?[\\]/.test(last)) throw new Error(`it imports ${pattern}`);
  const form = new RegExp(`^${last.split('*').map(quoted).join('.*')}$`, 's');
  const entries = (await ifFound(fs.list(dir, call))) ?? [];
  return entries.filter(({ name }) => form.test(name)).map(({ name }) => `${dir}/${name}`);
}

function quoted(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

function verifiersIn({ bin_dir, max_verifiers, per_verifier_timeout }: Table): Verifiers {
  const { path, most, timeLimit } = NODE_VERIFIERS;
  return {
    ...NODE_VERIFIERS,
    path: typeof bin_dir === 'string' && bin_dir !== '' ? bin_dir : path,
    most: typeof max_verifiers === 'number' ? max_verifiers : most,
    timeLimit: typeof per_verifier_timeout === 'string' ? parseDuration(per_verifier_timeout) : timeLimit,
  };
}

function tableOf(value: unknown): Table {
  return typeof value === 'object' && value !== null ? (value as Table) : {};
}

async function readText({ fs }: Parts, path: string, call: Call): Promise<string> {
  return new TextDecoder().decode(await fs.readFile(path, MAX_BYTES, call));
}
