import type { Call } from './call.ts';

export interface ProgramRun extends Call {
  /** All of standard input. */
  readonly input: string;
  /** Milliseconds; the program is killed then: DeadlineExceeded. */
  readonly timeLimit: number;
  /** Bytes of each output; more is ResourceExhausted, and the program is killed. */
  readonly outputLimit: number;
}

export interface ProgramResult {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Programs of the user's, without a shell and with the user's environment. `name` has no slash: PATH is searched. NotFound
 * when nothing of that name can be run there; PermissionDenied when we may not run programs. The program has ended when
 * `run` settles; what it started is not waited for (it keeps the terminal, so that it can ask its user).
 */
export interface Programs {
  run(name: string, args: readonly string[], how: ProgramRun): Promise<ProgramResult>;
}
