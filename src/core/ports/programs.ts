import type { Call } from './call.ts';

export interface ProgramRun extends Call {
  /** All of standard input. */
  readonly input: string;
  /** Milliseconds. Afterwards the program is killed: DeadlineExceeded. */
  readonly timeLimit: number;
  /** Characters of each output; more is ResourceExhausted, and the program is killed. */
  readonly outputLimit: number;
  /**
   * Runs the program apart from the user: in `/`, without the terminal, with these environment variables alone, as the leader of a
   * process group of its own. Whoever of the group is left is killed with the program. FailedPrecondition when the kernel cannot execute
   * the file: no shell runs the file then.
   */
  readonly apart?: Readonly<Record<string, string>> | undefined;
}

export interface ProgramResult {
  /** Undefined when a signal ended the program. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs programs of the user, without a shell. `name`: an absolute path, or a name without a slash that is searched in PATH. NotFound
 * when there is no such program; PermissionDenied when this process may not run programs. The program has ended when `run`
 * settles, and nobody holds its outputs; its children may still run. Unless `apart`, the program has the user's environment and
 * keeps the terminal, to ask the user.
 */
export interface Programs {
  run(name: string, args: readonly string[], how: ProgramRun): Promise<ProgramResult>;
}
