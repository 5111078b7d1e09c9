import type { Call } from './call.ts';

/** Standard output or standard error. `columns` and `rows` are those of now, undefined when the stream is no terminal. */
export interface Output {
  readonly isTerminal: boolean;
  columns(): number | undefined;
  /** Absent, or undefined: not known. */
  rows?(): number | undefined;
  /** Resolves when the kernel has the data. Aborted for a closed pipe (EPIPE). */
  write(data: string | Uint8Array): Promise<void>;
}

/** The process and the machine. Platform words are Go's (linux, amd64), as OCI has them. */
export interface HostSystem {
  /** For people: `node`, `deno`. */
  readonly runtime: string;
  readonly runtimeVersion: string;
  readonly os: string;
  readonly arch: string;
  /** By the kernel: v2 to v4 on amd64 ('' for the base), v3 to v8 on arm and arm64. '' elsewhere, or when the kernel does not tell. */
  readonly variant: string;
  readonly pid: number;
  readonly uid: number;
  readonly cpus: number;
  readonly args: readonly string[];
  /** The working directory: absolute, without symlinks. FailedPrecondition when it was removed. */
  cwd(): string;
  env(name: string): string | undefined;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdinIsTerminal: boolean;
  /** One line of standard input without its newline, at most 64 KiB; with `silent`, a terminal does not echo it. */
  readLine(opts?: { silent?: boolean } & Call): Promise<string>;
  /** The next bytes of standard input, as they come; they are the caller's to keep. Undefined at the end. */
  readBytes(call?: Call): Promise<Uint8Array | undefined>;
  /** Calls back on SIGINT, SIGTERM and SIGHUP until disposed. */
  onInterrupt(handler: (signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP') => void): Disposable;
  /** Random bytes for ids. */
  random(length: number): Uint8Array;
}
