/** What every host must do, seen from outside: each check runs a process of the runtime at hand (support/host-probe.ts). */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { HostSystem } from '../../src/core/ports/host.ts';
import { amd64Variant } from '../../src/platform/process/machine.ts';
import { needs } from '../support/needs.ts';
import { scratch } from '../support/scratch.ts';

const probe = fileURLToPath(new URL('../support/host-probe.ts', import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: Uint8Array;
  readonly err: string;
}

interface Way {
  readonly input?: string;
  /** Sent one after the other, each when its text has come out; standard input stays open. */
  readonly answers?: readonly (readonly [string, string])[];
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** Close its standard output after so many bytes. */
  readonly closeAfter?: number;
}

async function run(command: readonly string[], way: Way = {}): Promise<Outcome> {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { env: { ...process.env, ...way.env }, cwd: way.cwd });
  const answers = [...(way.answers ?? [])];
  const out: Uint8Array[] = [];
  let length = 0;
  let err = '';
  child.stdout.on('data', (chunk: Uint8Array) => {
    out.push(chunk);
    length += chunk.length;
    if (way.closeAfter !== undefined && length >= way.closeAfter) child.stdout.destroy();
    const [next] = answers;
    if (next === undefined || !Buffer.concat(out).includes(next[0])) return;
    answers.shift();
    child.stdin.write(next[1]);
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    err += chunk;
  });
  child.stdin.on('error', () => {});
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  if (way.answers === undefined) child.stdin.end(way.input ?? '');
  const { code, signal } = await ended;
  return { code, signal, out: Buffer.concat(out), err };
}

function linesOf({ out, err }: Outcome): unknown[] {
  const text = new TextDecoder().decode(out);
  try {
    return text
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as unknown);
  } catch {
    throw new Error(`No lines of JSON: ${text} ${err}`);
  }
}

/** `command` starts the runtime with a script; `inside` is the same host in this process. */
export function hostSuite(name: string, inside: HostSystem, command: readonly string[]): void {
  const go = (what: string, way?: Way) => run([...command, probe, what], way);
  facts(name, inside, go, [...command, probe]);
  output(name, go, [...command, probe]);
  input(name, go, [...command, probe]);
}

type Go = (what: string, way?: Way) => Promise<Outcome>;

function facts(name: string, inside: HostSystem, go: Go, probing: readonly string[]): void {
  test(`host/${name}: it tells what machine and process this is`, async () => {
    const [info, env] = linesOf(await go('info', { env: { HAWSER_PROBE: 'yes' } })) as [
      Record<string, unknown>,
      unknown,
    ];
    assert.equal(info.runtime, name);
    assert.match(String(info.runtimeVersion), /^\d+\.\d+\.\d+/);
    assert.equal(info.os, process.platform === 'win32' ? 'windows' : process.platform);
    assert.match(String(info.arch), /^(amd64|arm64|arm|386|ppc64le|s390x|riscv64)$/);
    const cpuinfo = readFileSync('/proc/cpuinfo', 'utf8');
    if (info.arch === 'amd64') assert.equal(info.variant, amd64Variant(cpuinfo));
    else assert.equal(info.variant !== '', String(info.arch).startsWith('arm'));
    assert.equal(info.uid, process.getuid?.());
    assert.equal(info.cpus, availableParallelism());
    assert.deepEqual(info.args, ['info']);
    assert.deepEqual([info.out, info.err, info.stdinIsTerminal], [false, false, false]);
    assert.ok(!('columns' in info));
    assert.deepEqual(env, { set: 'yes' });
  });
  test(`host/${name}: the working directory is the kernel's, whatever PWD says`, async () => {
    const temp = scratch();
    try {
      const [here, other] = ['here', 'other'].map((part) => join(temp.path, part)) as [string, string];
      for (const path of [here, other]) mkdirSync(path);
      symlinkSync(here, join(temp.path, 'link'));
      const cwd = join(temp.path, 'link');
      assert.deepEqual(linesOf(await go('cwd', { cwd, env: { PWD: other } })), [realpathSync(here)]);
    } finally {
      await temp[Symbol.asyncDispose]();
    }
  });
  test(`host/${name}: a working directory that was removed cannot be told`, {
    skip: name === 'deno' && 'Deno itself does not start there',
  }, async () => {
    const temp = scratch();
    try {
      const gone = join(temp.path, 'gone');
      mkdirSync(gone);
      const removed = await run(['sh', '-c', 'cd "$0" && rmdir "$0" && exec "$@"', gone, ...probing, 'cwd']);
      assert.match(removed.err, /^FailedPrecondition: Cannot tell the working directory: /);
    } finally {
      await temp[Symbol.asyncDispose]();
    }
  });
  test(`host/${name}: random bytes are of the length asked for, and differ`, () => {
    assert.equal(inside.random(0).length, 0);
    const [a, b] = [inside.random(16), inside.random(16)];
    assert.equal(a.length, 16);
    assert.notDeepEqual(a, b);
    assert.equal(inside.pid, process.pid);
  });
  test(`host/${name}: each interrupt is told until disposed, then it is the system's again`, async () => {
    const done = await go('interrupt');
    assert.deepEqual(linesOf(done), [['SIGINT', 'SIGTERM', 'SIGHUP']]);
    assert.ok(done.signal === 'SIGTERM' || done.code === 143, `ended with ${done.code} ${done.signal}`);
  });
}

function output(name: string, go: Go, probing: readonly string[]): void {
  test(`host/${name}: writes come out in order, bytes as they are`, async () => {
    const { out, code } = await go('order');
    const want = `${Array.from({ length: 2000 }, (_, i) => `${i}\n`).join('')}end`;
    assert.deepEqual(out, Buffer.concat([Buffer.from(want), Buffer.of(0xff)]));
    assert.equal(code, 0);
  });
  test(`host/${name}: a closed pipe is Aborted`, async () => {
    const done = await go('flood', { closeAfter: 1 });
    assert.match(done.err, /^Aborted: Cannot write to stdout/);
    assert.equal(done.code, 3);
  });
  test(`host/${name}: a full disk is ResourceExhausted`, async () => {
    const done = await run(['sh', '-c', 'exec "$@" > /dev/full', 'sh', ...probing, 'flood']);
    assert.match(done.err, /^ResourceExhausted: Cannot write to stdout: .*no space left/i);
    assert.equal(done.code, 3);
  });
}

function input(name: string, go: Go, probing: readonly string[]): void {
  test(`host/${name}: the bytes of standard input, behind a line; at the end, none; an abort ends the wait`, async () => {
    const done = await go('bytes', { input: `line\n${'x'.repeat(500_000)}é` });
    assert.deepEqual(linesOf(done), ['line', { count: 500_002, last: 0xa9, after: true }]);
    assert.deepEqual(linesOf(await go('bytes', { input: 'line' })), [
      'line',
      { count: 0, last: 0, after: true },
    ]);
    assert.deepEqual(linesOf(await go('bytes-abort', { answers: [] })), ['time is up']);
  });
  test(`host/${name}: lines come one by one, the last without newline, then OutOfRange`, async () => {
    const done = await go('lines', { input: 'first\nsecond\r\n\nünï\nlast' });
    assert.deepEqual(linesOf(done), ['first', 'second', '', 'ünï', 'last']);
    assert.match(done.err, /^OutOfRange/);
    assert.equal(done.code, 3);
    assert.match((await go('lines')).err, /^OutOfRange/);
  });
  test(`host/${name}: a line of 64 KiB is read, a longer one ResourceExhausted`, async () => {
    const fits = 'x'.repeat(65_536);
    const done = await go('lines', { input: `${fits}\n${'y'.repeat(1_000_000)}` });
    assert.deepEqual(linesOf(done), [fits]);
    assert.match(done.err, /^ResourceExhausted/);
  });
  test(`host/${name}: silent without a terminal is a plain line`, async () => {
    const done = await go('silent', { input: 'secret\nnext\n' });
    assert.deepEqual(linesOf(done), ['secret', 'next']);
  });

  /** In a terminal that script(1) makes. */
  const skip = needs({ tools: ['script'] });
  const shell = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const terminal = (what: string, answers: readonly (readonly [string, string])[], after = '') => {
    const line = `${[...probing, what].map(shell).join(' ')}; echo "code=$?"${after}`;
    return run(['script', '-qec', line, '/dev/null'], { answers });
  };

  test(`host/${name}: a terminal does not echo a silent line; keys edit it; echo is back after`, {
    skip,
  }, async () => {
    const { out } = await terminal('silent', [
      ['Password', 'wrong\x15secreü\x7ft\r'],
      ['"secret"', 'shown\n'],
    ]);
    const seen = new TextDecoder().decode(out);
    assert.match(seen, /Password: "secret"\r?\n/);
    assert.match(seen, /shown\r?\n"shown"\r?\ncode=0/);
    assert.ok(!seen.includes('wrong'));
  });
  test(`host/${name}: the terminal is put back after an abort`, { skip }, async () => {
    const { out } = await terminal('silent-abort', [], '; stty -a | grep -ow -e "-\\?echo" -e "-\\?icanon"');
    assert.match(new TextDecoder().decode(out), /"time is up"\r?\ncode=0\r?\nicanon\r?\necho\r?\n/);
  });
  test(`host/${name}: the interrupt key of a terminal interrupts`, { skip }, async () => {
    const { out } = await terminal('silent', [['Password', 'sec\x03']], '; stty -a | grep -ow -e "-\\?echo"');
    const seen = new TextDecoder().decode(out);
    assert.match(seen, /code=130\r?\necho\r?\n/);
    assert.ok(!seen.includes('sec'));
  });
}
