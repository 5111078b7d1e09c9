/** Runs programs for tests. Nothing is left running: a timeout kills the child with SIGKILL. */
import { type ChildProcess, spawn } from 'node:child_process';
import process from 'node:process';

export interface ExecOptions {
  readonly cwd?: string;
  /** Replaces the environment; not given: this process's. */
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** Milliseconds; default 120000. */
  readonly timeout?: number;
  /** Sees the child as soon as it runs. */
  readonly started?: (child: ChildProcess) => void;
}

/** `code` is null when a signal ended the program. `raw` is stdout's bytes. */
export interface ExecResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly raw: Buffer;
}

/** What hawser prints as JSON is checked against its schemas. */
export async function exec(
  file: string,
  args: readonly string[],
  opts: ExecOptions = {},
): Promise<ExecResult> {
  const result = await spawned(file, args, opts);
  const isOurs = result.code !== null && args.some((arg) => arg.includes('json'));
  if (isOurs && /^\{\s*"v": ?1,/m.test(result.stdout + result.stderr)) {
    const { checkPrinted } = await import('./json-schema.ts');
    checkPrinted(args, result);
  }
  return result;
}

function spawned(file: string, args: readonly string[], opts: ExecOptions): Promise<ExecResult> {
  const child = spawn(file, args, {
    cwd: opts.cwd,
    env: opts.env ?? process.env,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  return new Promise((resolve, reject) => {
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const timer = setTimeout(() => child.kill('SIGKILL'), opts.timeout ?? 120_000);
    child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => err.push(bytes));
    child.stdin.on('error', () => {});
    child.stdin.end(opts.input);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const raw = Buffer.concat(out);
      const stderr = Buffer.concat(err).toString();
      resolve({ code, signal, stdout: raw.toString(), stderr, raw });
    });
    opts.started?.(child);
  });
}

/** The result of a program that must succeed. */
export async function execOk(
  file: string,
  args: readonly string[],
  opts: ExecOptions = {},
): Promise<ExecResult> {
  const result = await exec(file, args, opts);
  if (result.code !== 0) throw new Error(`${[file, ...args].join(' ')}: ${describe(result)}`);
  return result;
}

export function describe(result: ExecResult): string {
  const end = result.signal === null ? `exit ${result.code}` : `killed by ${result.signal}`;
  return `${end}\nstdout: ${result.stdout.slice(-3000)}\nstderr: ${result.stderr.slice(-3000)}`;
}
