/** The user's programs over node:child_process, which is loaded at the first use. */

import type { ChildProcess } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import process from 'node:process';
import type { Readable } from 'node:stream';
import { onAbort } from '../../core/async/abort.ts';
import { startTimer } from '../../core/async/timer.ts';
import { HawserError, messageOf } from '../../core/errors.ts';
import type { ProgramResult, ProgramRun, Programs } from '../../core/ports/programs.ts';
import { requireGranted } from '../kernel/deno-permission.ts';
import { littleEndian } from './machine.ts';

export function createPrograms(): Programs {
  return { run };
}

async function run(name: string, args: readonly string[], how: ProgramRun): Promise<ProgramResult> {
  how.signal?.throwIfAborted();
  if (/^[^/].*\//s.test(name))
    throw new HawserError('InvalidArgument', `Cannot run ${name}: not a plain name`);
  try {
    requireGranted({ name: 'run', command: name }, `Cannot run ${name}`);
    if (how.apart !== undefined) requireFormat(name);
    return await collect(name, args, how);
  } catch (err) {
    throw startError(name, err);
  }
}

/**
 * FailedPrecondition for a file that the kernel cannot execute: the C library (execvp(3)) hands such a file to the shell, for which an
 * empty file is a success.
 */
function requireFormat(path: string): void {
  const start = startOf(path);
  const isScript = start[0] === 0x23 && start[1] === 0x21;
  if (isScript || isProgram(start)) return;
  throw new HawserError(
    'FailedPrecondition',
    `${path} is no program for this machine, and no script that names its interpreter`,
  );
}

/** Class and machine of programs (elf(5), e_ident and e_machine) by process.arch. */
const ELF: Readonly<Record<string, readonly [bits: 1 | 2, machine: number]>> = {
  x64: [2, 62],
  arm64: [2, 183],
  arm: [1, 40],
  ia32: [1, 3],
  ppc64: [2, 21],
  s390x: [2, 22],
  riscv64: [2, 243],
  loong64: [2, 258],
  mips: [1, 8],
  mipsel: [1, 8],
};

/** Bytes of an ELF header, by class. */
const HEADER = { 1: 52, 2: 64 } as const;

/** Whether a file begins as a program of this machine. Of a machine that the table lacks, the byte order alone counts. */
function isProgram(start: Uint8Array): boolean {
  const isElf = [0x7f, 0x45, 0x4c, 0x46].every((byte, at) => start[at] === byte);
  if (!isElf || start[5] !== (littleEndian ? 1 : 2)) return false;
  if (start.length < HEADER[start[4] === 1 ? 1 : 2]) return false;
  const [bits, machine] = ELF[process.arch] ?? [];
  if (bits === undefined) return true;
  const [low = 0, high = 0] = littleEndian ? start.subarray(18, 20) : start.subarray(18, 20).toReversed();
  return start[4] === bits && low + high * 256 === machine;
}

/** The first bytes of a file: as many as an ELF header may have. */
function startOf(path: string): Uint8Array {
  const bytes = new Uint8Array(HEADER[2]);
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return bytes.subarray(0, readSync(file, bytes));
  } finally {
    closeSync(file);
  }
}

/** Ends when the program has ended and nobody holds its outputs any more, or at a limit: what the program started may hold them. */
async function collect(name: string, args: readonly string[], how: ProgramRun): Promise<ProgramResult> {
  const { spawn } = process.getBuiltinModule('node:child_process');
  const apart = how.apart === undefined ? {} : { detached: true, cwd: '/', env: { ...how.apart } };
  const child: ChildProcess = spawn(name, [...args], { ...apart, stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = endOf(child);
  const { stdin, stdout, stderr } = child;
  // A child for which there were no descriptors has no outputs: its error follows.
  if (!stdin || !stdout || !stderr) throw await ended.then(() => new Error('it has no outputs'));
  let failure: { readonly reason: unknown } | undefined;
  const stop = (reason: unknown) => {
    failure ??= { reason };
    kill(child, how.apart !== undefined);
    stdout.destroy();
    stderr.destroy();
  };
  const timer = startTimer(how.timeLimit, () => stop(late(name, how.timeLimit)));
  const stopListening = onAbort(how.signal, () => stop(how.signal?.reason));
  try {
    const overflow = () => stop(tooMuch(name, how.outputLimit));
    const texts = [stdout, stderr].map((stream) => textOf(stream, how.outputLimit, overflow));
    // A program that reads nothing closes the pipe.
    stdin.on('error', () => {});
    stdin.end(how.input);
    const code = await ended;
    if (failure !== undefined) throw failure.reason;
    const [out = '', err = ''] = texts.map((text) => text());
    return { code, stdout: out, stderr: err };
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}

/** The exit status, if any, once nobody holds the outputs. To be called before anything else is done with the child. */
function endOf(child: ChildProcess): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? undefined));
  });
}

function kill(child: ChildProcess, group: boolean): void {
  try {
    if (group && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Deno lets some programs be run, but no group be killed; or nobody is left of the group.
  }
  child.kill('SIGKILL');
}

/** Collects what a program writes; more than `limit` characters are `overflow`. */
function textOf(stream: Readable, limit: number, overflow: () => void): () => string {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (more: string) => {
    text += more;
    if (text.length > limit) overflow();
  });
  // What a destroyed stream says.
  stream.on('error', () => {});
  return () => text;
}

function late(name: string, limit: number): HawserError {
  return new HawserError('DeadlineExceeded', `${name} took over ${limit / 1000} s, and was killed`);
}

function tooMuch(name: string, limit: number): HawserError {
  return new HawserError('ResourceExhausted', `${name} wrote more than ${limit} bytes, and was killed`);
}

function startError(name: string, err: unknown): unknown {
  const { code, name: type } = err as { code?: unknown; name?: unknown };
  if (code === 'ENOENT') {
    const why = name.startsWith('/') ? 'does not exist, or its interpreter' : 'is not in PATH';
    return new HawserError('NotFound', `${name} ${why}`, { cause: err });
  }
  if (code === 'EACCES' || code === 'EPERM' || type === 'NotCapable') {
    return new HawserError('PermissionDenied', `Cannot run ${name}: ${messageOf(err)}`, {
      hint: 'Under Deno, --allow-run is needed',
      cause: err,
    });
  }
  if (typeof code === 'string' && Object.hasOwn(LACKING, code)) {
    const hint = LACKING[code];
    return new HawserError('ResourceExhausted', `Cannot run ${name}: ${messageOf(err)}`, {
      hint,
      cause: err,
    });
  }
  return err;
}

const OPEN_FILES = 'Raise the limit of open files (ulimit -n; fs.file-max for the system)';

/** What to do when the system lacks something for one more process, by errno (fork(2), pipe(2)). */
const LACKING: Readonly<Record<string, string>> = {
  EMFILE: OPEN_FILES,
  ENFILE: OPEN_FILES,
  EAGAIN: 'Raise the limit of processes (ulimit -u; pids.max of the control group)',
  ENOMEM: 'Free memory',
};
