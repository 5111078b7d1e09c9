/** Programs that are timed, and the numbers that come of it. */
import { spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import process from 'node:process';

export interface Timed {
  /** Seconds from the start of the program to its end. */
  readonly seconds: number;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds; default 15 minutes. */
  readonly timeout?: number;
  readonly started?: (pid: number) => void;
}

/** Runs a program that must succeed. Its standard output goes nowhere; the end of its standard error is in the failure. */
export function timed(command: readonly string[], opts: RunOptions = {}): Promise<Timed> {
  const [file = '', ...args] = command;
  const began = performance.now();
  const child = spawn(file, args, {
    env: { ...process.env, ...opts.env },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: opts.timeout ?? 900_000,
    killSignal: 'SIGKILL',
  });
  if (child.pid !== undefined) opts.started?.(child.pid);
  let errors = '';
  child.stderr.on('data', (bytes: Buffer) => {
    errors = (errors + bytes.toString()).slice(-2000);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const seconds = (performance.now() - began) / 1000;
      if (code === 0) resolve({ seconds });
      else reject(new Error(`${command.join(' ')}: ${signal ?? `exit ${code}`}\n${errors}`));
    });
  });
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1] ?? Number.NaN, sorted[Math.floor(middle)] ?? Number.NaN];
  return (low + high) / 2;
}

/** The exponent of y = a * x^b, by least squares over logarithms. */
export function exponent(points: readonly (readonly [x: number, y: number])[]): number {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)] as const);
  const mean = (at: 0 | 1) => logs.reduce((sum, point) => sum + point[at], 0) / logs.length;
  const [mx, my] = [mean(0), mean(1)];
  const covariance = logs.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0);
  return covariance / logs.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
}

/** Rows of cells as aligned columns: the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const width = (at: number) => Math.max(...rows.map((row) => [...(row[at] ?? '')].length));
  const cell = (text: string, at: number) => (at === 0 ? text.padEnd(width(at)) : text.padStart(width(at)));
  return rows.map((row) => row.map(cell).join('  ').trimEnd()).join('\n');
}
