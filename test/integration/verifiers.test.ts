/** Image verifiers of a running containerd 2: what containerd's own pull refuses, hawser's refuses too, before any content. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type Containerd, installations, startContainerd } from '../support/containerd.ts';
import { type ExecResult, exec, describe as explain } from '../support/exec.ts';
import { eachRuntime, type Flavour, quickest } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { waitForEnd } from '../support/processes.ts';
import { type RealRegistry, startDockerRegistry } from '../support/real-registry.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { smallImage } from '../support/small-image.ts';
import { pushRealImage, realKey } from '../support/trust-fixtures.ts';

const built = eachRuntime.filter(({ skip }) => skip === false);
const second = installations.find(({ name }) => name === 'containerd 2');
const skip = second === undefined ? 'needs the containerd 2 of CONTAINERD2' : false;

describe('image verifiers of containerd 2', {
  skip: needs({ root: true, tools: ['docker-registry', 'skopeo'] }) || skip,
}, () => {
  let temp: Scratch;
  let registry: RealRegistry;
  let daemon: Containerd;
  let bin: string;
  let image: string;
  let spaces = 0;

  before(async () => {
    temp = scratch();
    bin = join(temp.path, 'verifiers');
    registry = await startDockerRegistry();
    const layout = await smallImage(temp.path, { layers: 1, bytes: 1000, files: 1 });
    await registry.push(`${layout}:small`, 'small:1');
    image = `${registry.host}/small:1`;
    const settings = `bin_dir = ${JSON.stringify(bin)}\nmax_verifiers = 2\nper_verifier_timeout = "1s"\n`;
    const plugins = `[plugins."io.containerd.image-verifier.v1.bindir"]\n${settings}[plugins."io.containerd.metadata.v1.bolt"]\n`;
    const more = `${plugins}content_sharing_policy = "isolated"\n`;
    daemon = await startContainerd(undefined, more, second);
  });
  after(async () => {
    await daemon.close();
    await registry.close();
    await temp[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    rmSync(bin, { recursive: true, force: true });
    mkdirSync(bin);
  });

  function install(programs: Readonly<Record<string, string>>): void {
    for (const [name, script] of Object.entries(programs)) {
      writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(bin, name), 0o755);
    }
  }

  /** Pulls into a namespace of its own, which is to be empty after a failure. */
  async function pull(flavour: Flavour, ...args: string[]): Promise<ExecResult> {
    const namespace = `n${spaces++}`;
    const [program, ...first] = flavour.command;
    const flags = ['--address', daemon.socket, '-n', namespace, 'pull', ...args];
    const done = await exec(program, [...first, ...flags, image]);
    const names = (await daemon.ctr('-n', namespace, 'images', 'ls', '-q')).stdout.trim();
    const content = (await daemon.ctr('-n', namespace, 'content', 'ls', '-q')).stdout.trim();
    assert.deepEqual([names !== '', content !== ''], [done.code === 0, done.code === 0], explain(done));
    return done;
  }

  const ctrPull = (): Promise<ExecResult> => {
    const how = ['--address', daemon.socket, '-n', `ctr${spaces++}`, 'images', 'pull', '--plain-http'];
    return exec(second?.ctr ?? '', [...how, image]);
  };

  const CHILD = 'sleep 30 & echo $! > $(dirname "$0")/../child';
  const BAD: readonly (readonly [string, string, RegExp])[] = [
    [
      'refuses',
      'echo not signed; exit 3',
      /small:1 \(sha256:\w+\): refused: not signed \(image verifier .*\/20-it\)/,
    ],
    ['hangs', 'exec sleep 20', /image verifier .*\/20-it gives no answer: .* took over 1 s/],
    ['forks, and accepts', `${CHILD}; exit 0`, /20-it gives no answer: .* took over 1 s/],
    ['forks, and hangs', `${CHILD}; wait`, /20-it gives no answer: .* took over 1 s/],
    ['floods', 'exec cat /dev/zero', /20-it gives no answer: .* (wrote more than|took over)/],
    ['dies', 'kill -9 $$', /20-it gives no answer: a signal ended it/],
  ];
  for (const [how, script, message] of BAD) {
    test(`one that ${how} keeps the image out`, async () => {
      install({ '10-yes': 'true', '20-it': script });
      // Of the exit status and the end of its time, containerd goes by the one that it sees first.
      if (how !== 'forks, and accepts') assert.notEqual((await ctrPull()).code, 0);
      for (const flavour of how === 'refuses' ? built : [quickest]) {
        const done = await pull(flavour);
        assert.equal(done.code, 1, explain(done));
        assert.match(done.stderr, message);
        if (script.startsWith(CHILD))
          await waitForEnd(Number(readFileSync(join(temp.path, 'child'), 'utf8')));
      }
    });
  }

  test('a file that is no program keeps the image out, of hawser as of ctr', async () => {
    for (const mode of [0o644, 0o755]) {
      writeFileSync(join(bin, 'empty'), '', { mode });
      chmodSync(join(bin, 'empty'), mode);
      assert.notEqual((await ctrPull()).code, 0);
      assert.match((await pull(quickest)).stderr, /empty gives no answer: /);
    }
  });

  test('those that accept let the image in, with what containerd says to them; more than there may be do not', async () => {
    const say = `{ basename "$0"; echo "$*"; cat; } >> ${temp.path}/asked`;
    install({ a: say, b: say });
    const asked = async (work: () => Promise<ExecResult>) => {
      rmSync(join(temp.path, 'asked'), { force: true });
      const done = await work();
      assert.equal(done.code, 0, explain(done));
      return readFileSync(join(temp.path, 'asked'), 'utf8');
    };
    const theirs = await asked(ctrPull);
    for (const flavour of built) assert.equal(await asked(() => pull(flavour)), theirs);
    // containerd leaves the third one out.
    install({ c: 'exit 1' });
    assert.equal((await ctrPull()).code, 0);
    assert.match((await pull(quickest)).stderr, /has 3 files, and image verifiers are 2 at most/);
  });

  test('--verifier adds some, and "none" leaves those of the node out', async () => {
    const own = join(temp.path, 'own');
    writeFileSync(own, '#!/bin/sh\necho mine; exit 1\n', { mode: 0o755 });
    install({ it: 'echo theirs; exit 1' });
    assert.match((await pull(quickest, '--verifier', own)).stderr, /refused: theirs/);
    assert.match((await pull(quickest, '--verifier', 'none', '--verifier', own)).stderr, /refused: mine/);
    assert.equal((await pull(quickest, '--verifier', 'none')).code, 0);
    rmSync(bin, { recursive: true });
    assert.equal((await pull(quickest)).code, 0, 'no directory: nobody is asked');
  });
});

describe('hawser as an image verifier of containerd 2', {
  skip: needs({ root: true, tools: ['docker-registry', 'skopeo', 'unshare'] }) || skip,
}, () => {
  test('containerd pulls what the policy of hawser accepts, and nothing else', async () => {
    await using temp = scratch();
    await using registry = await startDockerRegistry();
    const layout = await smallImage(temp.path, { layers: 1, bytes: 1000, files: 1 });
    await registry.push(`${layout}:small`, 'team/unsigned:1');
    await pushRealImage(registry.host, 'cosign3', 'team/signed');
    const [policy, bin] = [join(temp.path, 'etc/hawser/policy.json'), join(temp.path, 'bin')];
    mkdirSync(join(temp.path, 'etc/hawser'), { recursive: true });
    const requirement = { type: 'sigstore', keyPath: realKey('signer.pub') };
    writeFileSync(policy, JSON.stringify({ default: [requirement] }));
    mkdirSync(bin);
    const program = quickest.command.map((word) => `'${word}'`).join(' ');
    // hawser answers by /etc/hawser/policy.json: in a mount namespace of its own, /etc has that file above the machine's.
    const inside = join(temp.path, 'inside');
    const mounted = `mount -t overlay overlay -o 'lowerdir=${join(temp.path, 'etc')}:/etc' /etc`;
    writeFileSync(inside, `${mounted} && exec ${program} "$@"\n`);
    const text = `#!/bin/sh\nexec unshare --mount sh '${inside}' "$@"\n`;
    writeFileSync(join(bin, 'hawser'), text, { mode: 0o755 });
    const more = `[plugins."io.containerd.image-verifier.v1.bindir"]\nbin_dir = ${JSON.stringify(bin)}\n`;
    await using daemon = await startContainerd(undefined, more, second);
    const pull = (name: string) => {
      const how = ['--address', daemon.socket, 'images', 'pull', '--plain-http'];
      return exec(second?.ctr ?? '', [...how, `${registry.host}/team/${name}:1`]);
    };
    const yes = await pull('signed');
    assert.equal(yes.code, 0, explain(yes));
    const no = await pull('unsigned');
    assert.notEqual(no.code, 0);
    assert.match(no.stderr, /verifier hawser rejected image \(exit code 1\): .*not signed/);
  });
});
