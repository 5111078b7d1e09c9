/** What every Programs does (src/core/ports/programs.ts). */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { kindOf } from '../../src/core/errors.ts';
import type { ProgramRun, Programs } from '../../src/core/ports/programs.ts';
import { waitForEnd } from '../support/processes.ts';
import { tempDir } from '../support/tmp.ts';

const HOW: ProgramRun = { input: '', timeLimit: 20_000, outputLimit: 1000 };

const PATHS: Readonly<Record<string, string>> = { PATH: '/usr/bin:/bin' };

export function programsSuite(name: string, make: () => Programs): void {
  let dir: ReturnType<typeof tempDir>;
  const path = process.env.PATH;
  const install = (program: string, script: string): void => {
    const file = join(dir.path, program);
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
  };
  before(() => {
    dir = tempDir('hawser-programs-');
    process.env.PATH = `${dir.path}:${path}`;
  });
  after(() => {
    process.env.PATH = path;
    dir[Symbol.dispose]();
  });
  const check = (title: string, body: (programs: Programs) => Promise<void>): void => {
    test(`programs/${name}: ${title}`, () => body(make()));
  };
  const kind = (expected: string) => (err: unknown) => kindOf(err) === expected;

  check('input, outputs, exit status and arguments', async (programs) => {
    install('hawser-echo', 'cat; printf "%s|" "$@" >&2; exit 3');
    const done = await programs.run('hawser-echo', ['a b', '$(id)'], { ...HOW, input: 'reg.io' });
    assert.deepEqual(done, { code: 3, stdout: 'reg.io', stderr: 'a b|$(id)|' });
  });

  check('the user’s environment', async (programs) => {
    install('hawser-home', 'printf %s "$PATH"');
    assert.equal((await programs.run('hawser-home', [], HOW)).stdout, process.env.PATH);
  });

  check('a program that reads nothing', async (programs) => {
    install('hawser-deaf', 'exec 0<&-; echo ok');
    const done = await programs.run('hawser-deaf', [], { ...HOW, input: 'x'.repeat(200_000) });
    assert.equal(done.stdout, 'ok\n');
  });

  check('a program that a signal ends has no exit status', async (programs) => {
    install('hawser-dies', 'echo last; kill -9 $$');
    assert.deepEqual(await programs.run('hawser-dies', [], HOW), {
      code: undefined,
      stdout: 'last\n',
      stderr: '',
    });
  });

  check('what is not there is NotFound; a relative path is no name', async (programs) => {
    await assert.rejects(programs.run('hawser-absent', [], HOW), kind('NotFound'));
    await assert.rejects(programs.run('./hawser-echo', [], HOW), kind('InvalidArgument'));
    await assert.rejects(programs.run('a/hawser-echo', [], HOW), kind('InvalidArgument'));
    await assert.rejects(programs.run(join(dir.path, 'hawser-absent'), [], HOW), kind('NotFound'));
  });

  check('an absolute path', async (programs) => {
    install('hawser-path', 'printf %s "$1"');
    assert.equal((await programs.run(join(dir.path, 'hawser-path'), ['x'], HOW)).stdout, 'x');
  });

  check('too slow: killed, and what it started is not waited for', async (programs) => {
    install('hawser-slow', 'sleep 5');
    await assert.rejects(
      programs.run('hawser-slow', [], { ...HOW, timeLimit: 50 }),
      kind('DeadlineExceeded'),
    );
  });

  check('a time limit longer than a timer of the runtime is no short one', async (programs) => {
    install('hawser-steady', 'sleep 0.2; echo ok');
    for (const timeLimit of [2 ** 31, 720 * 3_600_000, Number.POSITIVE_INFINITY])
      assert.equal((await programs.run('hawser-steady', [], { ...HOW, timeLimit })).stdout, 'ok\n');
  });

  check('too much output: killed', async (programs) => {
    install('hawser-loud', 'while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done');
    await assert.rejects(programs.run('hawser-loud', [], HOW), kind('ResourceExhausted'));
  });

  check('apart: its own directory, variables and process group', async (programs) => {
    install('hawser-apart', 'pwd; env | grep -v "^PWD=\\|^_=\\|^SHLVL="; ps -o pgid=,pid= -p $$');
    const { stdout } = await programs.run(join(dir.path, 'hawser-apart'), [], {
      ...HOW,
      apart: { A: 'b c' },
    });
    const [cwd, variable, ids = '', ...rest] = stdout.trim().split('\n');
    const [group, pid] = ids.trim().split(/\s+/);
    assert.deepEqual([cwd, variable, group, rest], ['/', 'A=b c', pid, []]);
  });

  check('apart: a file that the kernel cannot execute is not run by a shell', async (programs) => {
    const own = readFileSync(process.execPath).subarray(0, 64);
    const foreign = Uint8Array.from(own, (byte, at) => (at === 18 ? byte ^ 1 : byte));
    const otherOrder = Uint8Array.from(own, (byte, at) => (at === 5 ? 3 - byte : byte));
    const otherClass = Uint8Array.from(own, (byte, at) => (at === 4 ? 3 - byte : byte));
    const short = own.subarray(0, 63);
    for (const content of [
      ...['', 'exit 0\n', '\n#!/bin/sh\n', '\u007fELF'],
      ...[foreign, otherOrder, otherClass, short],
    ]) {
      const file = join(dir.path, 'hawser-formless');
      writeFileSync(file, content, { mode: 0o755 });
      await assert.rejects(programs.run(file, [], { ...HOW, apart: PATHS }), kind('FailedPrecondition'));
    }
  });

  check('apart: a program of the machine runs, though the file of this process is gone', async (programs) => {
    const own = process.execPath;
    process.execPath = join(dir.path, 'upgraded');
    assert.notEqual(process.execPath, own);
    try {
      const done = await programs.run('/bin/echo', ['a'], { ...HOW, apart: PATHS });
      assert.deepEqual(done, { code: 0, stdout: 'a\n', stderr: '' });
    } finally {
      process.execPath = own;
    }
  });

  /** A program whose child writes its pid, and holds the outputs or not. */
  const forking = async (programs: Programs, end: string, how: Partial<ProgramRun>) => {
    const file = join(dir.path, 'child.pid');
    install('hawser-forks', `sleep 30 & echo $! > ${file}.new; mv ${file}.new ${file}; ${end}`);
    const run = programs.run(join(dir.path, 'hawser-forks'), [], { ...HOW, ...how });
    const result = await run.catch((err: unknown) => err);
    const child = Number(readFileSync(file, 'utf8'));
    rmSync(file);
    return { result, child };
  };

  check('apart: what it started is killed with it', async (programs) => {
    const { result, child } = await forking(programs, 'wait', { timeLimit: 500, apart: PATHS });
    assert.equal(kindOf(result), 'DeadlineExceeded');
    await waitForEnd(child);
  });

  check('one that has ended, but whose child holds the outputs, is too slow', async (programs) => {
    const { result, child } = await forking(programs, 'exit 0', { timeLimit: 500, apart: PATHS });
    assert.equal(kindOf(result), 'DeadlineExceeded');
    await waitForEnd(child);
  });

  check('what it started elsewhere is not killed when it ends by itself', async (programs) => {
    install('hawser-leaves', 'sleep 30 > /dev/null 2>&1 < /dev/null & echo $!');
    const { stdout } = await programs.run(join(dir.path, 'hawser-leaves'), [], { ...HOW, apart: PATHS });
    process.kill(Number(stdout), 'SIGKILL');
  });

  check('an abort kills it, and an aborted signal starts nothing', async (programs) => {
    install('hawser-wait', 'exec sleep 60');
    const stop = new AbortController();
    const running = programs.run('hawser-wait', [], { ...HOW, signal: stop.signal });
    stop.abort();
    await assert.rejects(running, kind('Canceled'));
    await assert.rejects(programs.run('hawser-wait', [], { ...HOW, signal: stop.signal }), kind('Canceled'));
  });
}
