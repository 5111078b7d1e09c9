/** Servers that tests start: a free port, waiting until it answers, stopping. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import process from 'node:process';

/** A loopback port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

export interface Daemon {
  readonly child: ChildProcess;
  /** SIGTERM, then SIGKILL after five seconds; resolves when it is gone. */
  stop(): Promise<void>;
}

/** Starts a program and waits until `ready` says so. What it printed is in the error when it never is. */
export async function startDaemon(
  file: string,
  args: readonly string[],
  ready: () => Promise<boolean>,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Daemon> {
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let ended = false;
  const keep = (bytes: Buffer): void => {
    output = (output + bytes.toString()).slice(-4000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const exited = new Promise<void>((resolve) => {
    child.on('error', (err) => keep(Buffer.from(String(err))));
    child.on('close', () => {
      ended = true;
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    if (!ended) child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
    await exited;
    clearTimeout(timer);
  };
  for (let tries = 0; tries < 300 && !ended; tries++) {
    if (await ready()) return { child, stop };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await stop();
  throw new Error(`${file} did not start: ${output}`);
}

/** Waits for the end of a process that is not ours, a second at most. A zombie has ended. */
export async function waitForEnd(pid: number): Promise<void> {
  const ended = (): boolean => {
    try {
      return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return true;
    }
  };
  for (let tries = 0; tries < 50 && !ended(); tries++) await new Promise((done) => setTimeout(done, 20));
  assert.ok(ended(), `process ${pid} runs`);
}
