/** Signals of every way to run hawser: no inspector, and what the parent ignores stays ignored. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Flavour, type FlavourName, wanted } from '../support/hawser.ts';
import { scratch } from '../support/scratch.ts';

/** Node gives every signal its default at its start, and only the static executable can keep it from that. */
const KEEPS: readonly FlavourName[] = ['deno', 'binary'];

interface Waiting {
  readonly child: ChildProcess;
  stderr(): string;
  /** The exit code, or the name of the signal. */
  readonly ended: Promise<number | string | null>;
}

/** A pull that waits for its registry, started by a shell that runs `before` first. */
async function waiting(
  which: Flavour,
  before: string,
  body: (waiting: Waiting) => Promise<void>,
): Promise<void> {
  await using temp = scratch();
  let asked: () => void = () => {};
  const reached = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const silent = createServer((socket) => {
    socket.on('error', () => {});
    asked();
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const address = silent.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const args = ['--root', join(temp.path, 'store'), 'pull', '--progress', 'none', `localhost:${port}/a:b`];
  const child = spawn('sh', ['-c', `${before}\nexec "$@"`, 'sh', ...which.command, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr?.on('data', (bytes: Buffer) => {
    stderr += bytes.toString();
  });
  const ended = new Promise<number | string | null>((resolve) => {
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
  try {
    await Promise.race([reached, ended.then((end) => assert.fail(`ended with ${end}: ${stderr}`))]);
    await body({ child, stderr: () => stderr, ended });
  } finally {
    child.kill('SIGKILL');
    await ended;
    silent.close();
  }
}

/** Listening TCP sockets of a process. */
function listeners(pid: number): string[] {
  const fds = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  const rows = ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/net/${name}`, 'utf8').split('\n'));
  return rows.filter((row) => {
    const cells = row.trim().split(/\s+/);
    return cells[3] === '0A' && fds.includes(`socket:[${cells[9]}]`);
  });
}

/** How a process ends, which has to be within ten seconds. */
async function end({ ended, stderr }: Waiting): Promise<number | string | null> {
  const late = pause(10_000).then(() => assert.fail(`still there: ${stderr()}`));
  return await Promise.race([ended, late]);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref());

for (const which of wanted) {
  test(`signals/${which.name}: SIGUSR1 opens no inspector`, { skip: which.skip }, async () => {
    await waiting(which, '', async (running) => {
      const { child, stderr } = running;
      child.kill('SIGUSR1');
      // Deno opens it whatever is done: its process is to be gone at once.
      if (which.name === 'deno') assert.equal(await end(running), 138);
      else {
        await pause(500);
        assert.deepEqual(listeners(child.pid ?? 0), []);
        child.kill('SIGTERM');
        assert.equal(await end(running), 143);
      }
      assert.doesNotMatch(stderr(), /Debugger|inspect/i);
    });
  });

  const skip =
    which.skip || (KEEPS.includes(which.name) ? false : 'Node itself gives all signals their default');
  test(`signals/${which.name}: what the parent ignores stays ignored`, { skip }, async () => {
    await waiting(which, "trap '' HUP INT", async (running) => {
      const { child, stderr } = running;
      child.kill('SIGHUP');
      child.kill('SIGINT');
      await pause(500);
      assert.equal(stderr(), '');
      assert.equal(child.exitCode, null);
      child.kill('SIGTERM');
      assert.equal(await end(running), 143);
    });
    await waiting(which, '', async (running) => {
      running.child.kill('SIGHUP');
      assert.equal(await end(running), 129);
    });
  });
}

const binary = wanted.filter(({ name }) => name === 'binary');
for (const which of binary) {
  test('signals/binary: NODE_OPTIONS and --inspect do nothing', { skip: which.skip }, async () => {
    const options = "export NODE_OPTIONS='--inspect=0 --require=/nowhere.js'";
    await waiting(which, options, async ({ child, stderr }) => {
      assert.equal(stderr(), '');
      assert.deepEqual(listeners(child.pid ?? 0), []);
    });
  });
}
