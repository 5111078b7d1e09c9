/** What the program is called: whatever name and path its file has, the process has that name, and --version says hawser. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, linkSync, mkdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { execOk } from '../support/exec.ts';
import { flavour, oneFile } from '../support/hawser.ts';
import { deno, node22, node26 } from '../support/runtimes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';

const VERSION = /^hawser \d+\.\d+\.\d+ \((?:node|deno) [\d.]+, linux\/\w+\)\n$/;
/** Length of a process's name in the kernel (TASK_COMM_LEN without its end). */
const COMM = 15;

/** As long as it waits for its registry. */
async function whileWaiting(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  body: (pid: number) => void,
): Promise<void> {
  let child: ChildProcess | undefined;
  let silent: Server | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const reached = new Promise<void>((resolve) => {
      silent = createServer((socket) => {
        socket.on('error', () => {});
        resolve();
      });
    });
    await new Promise<void>((resolve) => silent?.listen(0, '127.0.0.1', resolve));
    const address = silent?.address();
    const port = typeof address === 'object' ? address?.port : 0;
    child = spawn(file, [...args, 'resolve', `localhost:${port}/a:b`], { env, stdio: 'ignore' });
    const ended = new Promise<never>((_, reject) =>
      child?.once('exit', () => reject(new Error('it has ended'))),
    );
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('it asks no registry')), 60_000);
    });
    for (const one of [ended, late]) one.catch(() => {});
    await Promise.race([reached, ended, late]);
    body(child.pid ?? 0);
  } finally {
    clearTimeout(timer);
    child?.kill('SIGKILL');
    silent?.close();
  }
}

const binary = flavour('binary');
const SKIP = { skip: binary.skip };

describe('the executable', SKIP, () => {
  let temp: Scratch;
  let file: string;
  before(() => {
    temp = scratch();
    file = join(temp.path, 'original');
    copyFileSync(binary.file ?? '', file);
  });
  after(async () => {
    await temp[Symbol.asyncDispose]();
  });

  const NAMES = ['hawser', 'hawser-0.1.0-linux-x64', 'two words', '-dash', 'naïve', 'node'];
  for (const name of NAMES) {
    test(`called ${name}`, async () => {
      const dir = join(temp.path, `of ${name}`);
      mkdirSync(dir);
      const path = join(dir, name);
      linkSync(file, path);
      assert.match((await execOk(path, ['--version'])).stdout, VERSION);
      await whileWaiting(path, [], {}, (pid) => checkProcess(pid, name, path));
    });
  }

  test('called by way of a symlink, and found in PATH', async () => {
    const link = join(temp.path, 'by-link');
    symlinkSync('original', link);
    assert.match((await execOk(link, ['--version'])).stdout, VERSION);
    await whileWaiting(link, [], {}, (pid) => checkProcess(pid, 'by-link', file));
    const env = { PATH: `${temp.path}${delimiter}${process.env.PATH}` };
    assert.match((await execOk('original', ['--version'], { env })).stdout, VERSION);
    await whileWaiting('original', [], env, (pid) => checkProcess(pid, 'original', file));
  });

  test('options of Node are unknown flags', async () => {
    for (const option of ['--inspect', '--inspect-brk=0', '--require=/nowhere.js', '--cpu-prof'])
      await assert.rejects(execOk(file, [option, 'version'], { cwd: temp.path }), /hawser: .*--/);
  });
});

/** `path`: of the file. */
function checkProcess(pid: number, name: string, path: string): void {
  const comm = readFileSync(`/proc/${pid}/comm`);
  assert.deepEqual(comm, Buffer.concat([Buffer.from(name).subarray(0, COMM), Buffer.from('\n')]));
  assert.equal(realpathSync(`/proc/${pid}/exe`), realpathSync(path));
}

const bundle = oneFile;
const RUNTIMES: Readonly<Record<string, readonly string[]>> = {
  'Node 26': [node26],
  'Node 22': [node22],
  Deno: [deno, 'run', '--allow-env'],
};

for (const [runtime, [program = '', ...args]] of Object.entries(RUNTIMES)) {
  test(`hawser.mjs by another name on ${runtime}`, { skip: bundle.skip }, async () => {
    await using dir = scratch();
    const path = join(dir.path, 'another name.mjs');
    copyFileSync(bundle.file ?? '', path);
    assert.match((await execOk(program, [...args, path, '--version'])).stdout, VERSION);
  });
}
