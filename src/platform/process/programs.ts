/** The user's programs over node:child_process (loaded on first use), for Node and Deno. */

import process from 'node:process';
import { onAbort } from '../../core/async/abort.ts';
import { HawserError, messageOf } from '../../core/errors.ts';
import type { ProgramResult, ProgramRun, Programs } from '../../core/ports/programs.ts';

export function createPrograms(): Programs {
  return { run };
}

async function run(name: string, args: readonly string[], how: ProgramRun): Promise<ProgramResult> {
  how.signal?.throwIfAborted();
  if (name.includes('/')) throw new HawserError('InvalidArgument', `Cannot run ${name}: not a plain name`);
  try {
    return await collect(name, args, how);
  } catch (err) {
    throw startError(name, err);
  }
}

function collect(name: string, args: readonly string[], how: ProgramRun): Promise<ProgramResult> {
  const { spawn } = process.getBuiltinModule('node:child_process');
  const child = spawn(name, [...args], { env: process.env, stdio: ['pipe', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  let failure: unknown;
  const stop = (reason: unknown): void => {
    failure ??= reason;
    child.kill('SIGKILL');
    // What it started may hold its pipes open; nobody waits for that.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  const limit = setTimeout(() => stop(late(name, how.timeLimit)), how.timeLimit);
  const stopListening = onAbort(how.signal, () => stop(how.signal?.reason));
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      output[stream] += text;
      if (output[stream].length > how.outputLimit) stop(tooMuch(name, how.outputLimit));
    });
  }
  // A program that reads nothing closes the pipe.
  child.stdin.on('error', () => {});
  child.stdin.end(how.input);
  return new Promise<ProgramResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (failure === undefined) resolve({ code: code ?? undefined, ...output });
      else reject(failure);
    });
  }).finally(() => {
    clearTimeout(limit);
    stopListening();
  });
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
    return new HawserError('NotFound', `${name} is not in PATH`, { cause: err });
  }
  if (code === 'EACCES' || code === 'EPERM' || type === 'NotCapable') {
    return new HawserError('PermissionDenied', `Cannot run ${name}: ${messageOf(err)}`, {
      hint: 'Under Deno, --allow-run is needed',
      cause: err,
    });
  }
  return err;
}
