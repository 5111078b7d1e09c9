/** The completions as a user meets them: typed into bash, zsh and fish, with the file that `hawser completion` prints. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { exec, execOk } from '../support/exec.ts';
import { anyFlavour, oneFile } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { repository } from '../support/runtimes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';

/** Keys that are typed (`\t` completes), and the arguments that hawser then gets. */
const TYPED: readonly (readonly [keys: string, ...args: string[]])[] = [
  ['pul\t x', 'pull', 'x'],
  ['pull --progress=js\t', 'pull', '--progress=json'],
  ['pull --progress js\t', 'pull', '--progress', 'json'],
  ['--root /s images rm localh\t', '--root', '/s', 'images', 'rm', 'localhost:5000/a/b:v1'],
  ['images rm localhost:5\t', 'images', 'rm', 'localhost:5000/a/b:v1'],
  ['unpack x --rootfs ./onl\t', 'unpack', 'x', '--rootfs', './only'],
  ['-n k8s.io snapsho\ttr\t', '-n', 'k8s.io', 'snapshots', 'tree'],
  ['help images pul\t', 'help', 'images', 'pull'],
  ['completion f\t', 'completion', 'fish'],
  ['images mount a ./onl\t', 'images', 'mount', 'a', './only'],
];

describe('completions', () => {
  let temp: Scratch;
  let env: NodeJS.ProcessEnv;
  const path = (name: string): string => join(temp.path, name);

  before(async () => {
    temp = scratch();
    mkdirSync(path('bin'));
    mkdirSync(path('only'));
    // Lists images, and otherwise writes down its arguments.
    writeFileSync(
      path('bin/hawser'),
      `#!/bin/sh
case "$*" in
  *'images ls -q') printf '%s\\n' localhost:5000/a/b:v1 docker.io/library/alpine:3 ;;
  *) for one; do printf '%s\\n' "$one"; done > '${path('got')}' ;;
esac
`,
    );
    chmodSync(path('bin/hawser'), 0o755);
    const [file, ...args] = anyFlavour.command;
    for (const [shell, name] of [
      ['bash', 'hawser.bash'],
      ['zsh', 'bin/_hawser'],
      ['fish', 'hawser.fish'],
    ] as const)
      writeFileSync(path(name), (await execOk(file, [...args, 'completion', shell])).stdout);
    env = { ...process.env, PATH: `${path('bin')}:${process.env.PATH}`, TERM: 'dumb', HOME: temp.path };
  });
  after(async () => {
    await temp[Symbol.asyncDispose]();
  });

  /** What hawser got after the keys were typed into an interactive shell on a terminal. */
  async function got(shell: string, setup: string, keys: string): Promise<string[]> {
    const input = `${setup}\nrm -f ./got\nhawser ${keys}\nexit\n`;
    const { stdout } = await exec('script', ['-qec', shell, '/dev/null'], { cwd: temp.path, env, input });
    assert.ok(existsSync(path('got')), stdout);
    return readFileSync(path('got'), 'utf8').trimEnd().split('\n');
  }

  test('bash completes what is typed', { skip: needs({ tools: ['bash', 'script'] }) }, async () => {
    for (const [keys, ...args] of TYPED) {
      const found = await got('bash --norc --noprofile -i', '. ./hawser.bash', keys);
      assert.deepEqual(
        found.map((one) => one.replace(/\/$/, '')),
        args,
      );
    }
  });

  test('zsh completes what is typed', { skip: needs({ tools: ['zsh', 'script'] }) }, async () => {
    const setup = 'fpath=(./bin $fpath); autoload -U compinit; compinit -u -d ./dump; PROMPT=';
    await execOk('zsh', ['-n', path('bin/_hawser')]);
    for (const [keys, ...args] of TYPED) assert.deepEqual(await got('zsh -f -i', setup, keys), args);
  });

  test('fish completes what is typed', { skip: needs({ tools: ['fish'] }) }, async () => {
    await execOk('fish', ['-n', path('hawser.fish')]);
    for (const [keys, ...args] of TYPED) {
      const line = keys.slice(0, keys.lastIndexOf('\t')).replace('\t', 'ts ');
      const script = 'source ./hawser.fish; complete -C $argv[1]';
      const options = { cwd: temp.path, env };
      const { stdout } = await execOk('fish', ['--no-config', '-c', script, `hawser ${line}`], options);
      const offered = stdout.split('\n').map((one) => one.split('\t')[0]?.replace(/\/$/, ''));
      const last = args[line.split(' ').length - 1] ?? '';
      assert.ok(offered.includes(last), `${line}: ${stdout}`);
    }
  });

  test('a shell that is not known is refused with those that are', async () => {
    const [file, ...before] = anyFlavour.command;
    const { code, stderr } = await exec(file, [...before, 'completion', 'csh']);
    assert.equal(code, 2);
    assert.match(stderr, /invalid value "csh" for the shell: want bash, zsh, fish/);
  });

  const built = oneFile;
  test('the files of the build are those that the program prints', { skip: built.skip }, async () => {
    const [file, ...args] = built.command;
    for (const [shell, name] of [
      ['bash', 'hawser.bash'],
      ['zsh', '_hawser'],
      ['fish', 'hawser.fish'],
    ] as const) {
      const { stdout } = await execOk(file, [...args, 'completion', shell]);
      assert.equal(readFileSync(join(repository, 'dist/shell', name), 'utf8'), stdout);
    }
  });
});
