/** The user's programs over node:child_process, which is loaded at the first use. */

import type { ChildProcess } from 'node:child_process';
import process from 'node:process';
import type { Readable } from 'node:stream';
import { onAbort } from '../../core/async/abort.ts';
import { HawserError, messageOf } from '../../core/errors.ts';
import type { ProgramResult, ProgramRun, Programs } from '../../core/ports/programs.ts';
import { requireGranted } from '../kernel/deno-permission.ts';

export function createPrograms(): Programs {
  return { run };
}

async function run(name: string, args: readonly string[], how: ProgramRun): Promise<ProgramResult> {
  how.signal?.throwIfAborted();
  if (/^[^/].*\//s.test(name))
    throw new HawserError('InvalidArgument', `Cannot run ${name}: not a plain name`);
  try {
    requireGranted({ name: 'run', command: name }, `Cannot run ${name}`);
    return await collect(name, args, how);
  } catch (err) {
    throw startError(name, err);
  }
}

/** Ends when the program has ended and nobody holds its outputs any more, or at a limit: what the program started may hold them. */
function collect(name: string, args: readonly string[], how: ProgramRun): Promise<ProgramResult> {
  const { spawn } = process.getBuiltinModule('node:child_process');
  return new Promise((resolve, reject) => {
    const apart = how.apart === undefined ? {} : { detached: true, cwd: '/', env: { ...how.apart } };
    const child = spawn(name, [...args], { ...apart, stdio: ['pipe', 'pipe', 'pipe'] });
    let failure: { readonly reason: unknown } | undefined;
    const stop = (reason: unknown) => {
      failure ??= { reason };
      kill(child, how.apart !== undefined);
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = setTimeout(() => stop(late(name, how.timeLimit)), how.timeLimit);
    const stopListening = onAbort(how.signal, () => stop(how.signal?.reason));
    const overflow = () => stop(tooMuch(name, how.outputLimit));
    const stdout = textOf(child.stdout, how.outputLimit, overflow);
    const stderr = textOf(child.stderr, how.outputLimit, overflow);
    // A program that reads nothing closes the pipe.
    child.stdin.on('error', () => {});
    child.stdin.end(how.input);
    const settle = (end: () => void) => {
      clearTimeout(timer);
      stopListening();
      end();
    };
    child.on('error', (err) => settle(() => reject(err)));
    child.on('close', (code) =>
      settle(() => {
        if (failure === undefined) resolve({ code: code ?? undefined, stdout: stdout(), stderr: stderr() });
        else reject(failure.reason);
      }),
    );
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
  return err;
}
