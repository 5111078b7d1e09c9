import type { Call } from './call.ts';

export interface ProgramRun extends Call {
  /** All of standard input. */
  readonly input: string;
  /** Milliseconds. Afterwards the program is killed: DeadlineExceeded. */
  readonly timeLimit: number;
  /** Characters of each output; more is ResourceExhausted, and the program is killed. */
  readonly outputLimit: number;
}

export interface ProgramResult {
  /** Undefined when a signal ended the program. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs programs of the user, without a shell and with the user's environment. `name`: an absolute path, or a name without a slash
 * that is searched in PATH. NotFound when there is no such program; PermissionDenied when this process may not run programs. The
 * program has ended when `run` settles; its children may still run. It keeps the terminal, to ask the user.
 */
export interface Programs {
  run(name: string, args: readonly string[], how: ProgramRun): Promise<ProgramResult>;
}
