/** The user's programs over node:child_process, which is loaded at the first use. */

import process from 'node:process';
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

/** The error that execFile gives. */
interface Ended {
  readonly code?: number | string | null;
  /** The time limit ended the program. */
  readonly killed?: boolean;
  readonly signal?: string | null;
}

function collect(name: string, args: readonly string[], how: ProgramRun): Promise<ProgramResult> {
  const { execFile } = process.getBuiltinModule('node:child_process');
  return new Promise((resolve, reject) => {
    const limits = { timeout: how.timeLimit, maxBuffer: how.outputLimit, killSignal: 'SIGKILL' } as const;
    const child = execFile(name, [...args], limits, (err: Ended | null, stdout, stderr) => {
      stopListening();
      try {
        resolve({ code: exitStatus(name, how, err), stdout, stderr });
      } catch (reason) {
        reject(reason);
      }
    });
    // execFile's own `signal` does not wait for the program's end.
    const stopListening = onAbort(how.signal, () => {
      child.kill('SIGKILL');
      // What the program started may hold the pipes open; nobody waits for that.
      child.stdout?.destroy();
      child.stderr?.destroy();
    });
    // A program that reads nothing closes the pipe.
    child.stdin?.on('error', () => {});
    child.stdin?.end(how.input);
  });
}

/** Undefined when a signal ended the program. Throws when it was not started, or stopped by us. */
function exitStatus(name: string, how: ProgramRun, err: Ended | null): number | undefined {
  how.signal?.throwIfAborted();
  if (err === null) return 0;
  if (typeof err.code === 'number') return err.code;
  if (err.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') throw tooMuch(name, how.outputLimit);
  if (err.killed === true) throw late(name, how.timeLimit);
  if (err.signal != null) return undefined;
  throw err;
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
