/** Runs small tools of the system without a shell. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { basename } from 'node:path';
import process from 'node:process';
import { onAbort } from '../../core/async/abort.ts';
import { startTimer } from '../../core/async/timer.ts';
import { HawserError } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import { isGranted, mayRead } from './deno-permission.ts';
import { errnoError, errnoOfText } from './errno.ts';

/** PATH is not used: as root, its directories may belong to somebody else. */
const DIRECTORIES = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];
const ENVIRONMENT = { LC_ALL: 'C', PATH: DIRECTORIES.join(':') };
const TIME_LIMIT = 120_000;
const OUTPUT_LIMIT = 16 * 1024 * 1024;

/** The Debian package (other distributions have them under like names) that brings a tool. */
const PACKAGES: Readonly<Record<string, string>> = {
  getfattr: 'attr',
  setfattr: 'attr',
  cp: 'coreutils',
  mknod: 'coreutils',
  sync: 'coreutils',
  touch: 'coreutils',
  mount: 'mount',
  umount: 'mount',
  xargs: 'findutils',
};

const found: Map<string, string> = new Map();

export function findTool(name: string): string | undefined {
  const known = found.get(name);
  if (known !== undefined) return known;
  for (const directory of DIRECTORIES) {
    const path = `${directory}/${name}`;
    // Whether the tool is there is told by running the tool.
    if (!mayRead(path)) return path;
    try {
      accessSync(path, constants.X_OK);
      found.set(name, path);
      return path;
    } catch {}
  }
  return undefined;
}

/** Absolute path of a tool. FailedPrecondition when it is not installed. */
export function requireTool(name: string, doing: string): string {
  const path = findTool(name);
  if (path !== undefined) return path;
  throw new HawserError(
    'FailedPrecondition',
    `${doing}: the tool ${name} is not in ${DIRECTORIES.join(', ')}`,
    {
      hint: `Install the package ${PACKAGES[name] ?? name}, or use a runtime with FFI (Node 26.1 or newer; Deno with --allow-ffi)`,
    },
  );
}

/** Standard output of the tool, given `input`. A failure is an error with the kind of the errno that the tool printed, if any. */
export function runTool(name: string, args: readonly string[], doing: string, input?: string): string {
  const path = requireTool(name, doing);
  checkAllowed(path, doing);
  const ran = spawnSync(path, [...args], {
    env: ENVIRONMENT,
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(input === undefined ? {} : { input }),
    timeout: TIME_LIMIT,
    killSignal: 'SIGKILL',
    maxBuffer: OUTPUT_LIMIT,
  });
  if (ran.error !== undefined) throw startError(name, ran.error, doing);
  const status = ran.status ?? ran.signal;
  if (typeof status !== 'number' && typeof status !== 'string') throw notStarted(name, doing);
  if (status !== 0) throw toolError(name, status, String(ran.stderr), doing);
  return String(ran.stdout);
}

/**
 * As `runTool`, without blocking; output is not collected, and the signal kills it. DeadlineExceeded when the tool takes longer than
 * `timeLimit` milliseconds. `errnoOf` finds the errno in what the tool printed.
 */
export async function runToolAsync(
  name: string,
  args: readonly string[],
  doing: string,
  errnoOf: (printed: string) => string | undefined,
  opts: { timeLimit?: number } & Call = {},
): Promise<void> {
  const { signal, timeLimit = TIME_LIMIT } = opts;
  signal?.throwIfAborted();
  const path = requireTool(name, doing);
  checkAllowed(path, doing);
  const { child, ended } = start(path, args, (err) => startError(name, err, doing));
  const kill = (): void => void child.kill('SIGKILL');
  let isLate = false;
  const limit = startTimer(timeLimit, () => {
    isLate = true;
    kill();
  });
  const stopListening = onAbort(signal, kill);
  let printed = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (printed.length < 65536) printed += text;
  });
  try {
    const status = await ended;
    signal?.throwIfAborted();
    if (status !== 0 && isLate) throw lateError(name, timeLimit, doing);
    if (status !== 0) throw toolError(name, status, printed, doing, errnoOf);
  } finally {
    stopListening();
    clearTimeout(limit);
  }
}

/**
 * A child whose output is its errors, and the end of it. One for which there are no descriptors has no output, and tells its error
 * at the next tick: so the listeners come first.
 */
function start(
  path: string,
  args: readonly string[],
  explained: (err: Error) => HawserError,
): { readonly child: ChildProcess; readonly ended: Promise<ToolStatus> } {
  try {
    const child = spawn(path, [...args], { env: ENVIRONMENT, stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = new Promise<ToolStatus>((resolve, reject) => {
      child.once('error', (err) => reject(explained(err)));
      child.once('close', (code, killer) => resolve(code ?? killer));
    });
    return { child, ended };
  } catch (err) {
    throw explained(err as Error);
  }
}

/** Deno's spawnSync fails without a reason where it is not allowed (2.9.6), and on a terminal Deno would ask. */
function checkAllowed(path: string, doing: string): void {
  if (isGranted({ name: 'run', command: path })) return;
  throw new HawserError('FailedPrecondition', `${doing}: Deno does not allow to run ${path}`, {
    hint: `Run Deno with --allow-run=${basename(path)}, or with --allow-ffi, which takes no tools`,
  });
}

/** The system lacks something for one more process (fork(2), pipe(2)). */
const LACKING = ['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM'];

function startError(name: string, err: Error, doing: string): HawserError {
  const { code } = err as { code?: unknown };
  if (code === 'ETIMEDOUT') return lateError(name, TIME_LIMIT, doing);
  if (typeof code === 'string' && LACKING.includes(code))
    return errnoError(code, `${doing}: running ${name}`, err);
  return new HawserError('FailedPrecondition', `${doing}: cannot run ${name}: ${err.message}`, {
    cause: err,
  });
}

/** Deno's spawnSync says nothing when there are no descriptors (2.9.6). */
function notStarted(name: string, doing: string): HawserError {
  return new HawserError('Internal', `${doing}: cannot run ${name}, and the runtime does not say why`, {
    hint: 'Look for what may be used up: open files (ulimit -n), processes (ulimit -u), memory',
  });
}

function lateError(name: string, limit: number, doing: string): HawserError {
  const hint = 'Check whether the file system there answers (a network, FUSE, a failing disk)';
  return new HawserError('DeadlineExceeded', `${doing}: ${name} took over ${limit / 1000} s`, { hint });
}

/** The exit status, or the name of the signal that ended the tool. */
type ToolStatus = number | string | null;

function toolError(
  name: string,
  status: ToolStatus,
  printed: string,
  doing: string,
  errnoOf = errnoOfText,
): HawserError {
  const errno = errnoOf(printed);
  if (errno !== undefined) return errnoError(errno, doing);
  const first = printed.trim().split('\n', 1)[0] ?? '';
  return new HawserError('Internal', `${doing}: ${first === '' ? endOf(name, status) : first}`);
}

function endOf(name: string, status: ToolStatus): string {
  return typeof status === 'number'
    ? `${name} ended with status ${status}`
    : `${name} was ended by ${status}`;
}

/** The path by which a child process of ours reaches one of our descriptors. */
export function handle(fd: number): string {
  return `/proc/${process.pid}/fd/${fd}`;
}
