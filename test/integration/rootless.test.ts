/**
 * The real image as a plain directory, as a runtime bundle, and without root: the trees are umoci's (and so containerd's, see
 * differential.test.ts), runc and crun start what comes out, and a killed run leaves nothing that looks whole.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { type ExecOptions, type ExecResult, exec, execOk, describe as explain } from '../support/exec.ts';
import { FIXTURE_TOOLS, realImage } from '../support/fixtures.ts';
import { anyFlavour, type Hawser, hawser } from '../support/hawser.ts';
import { inNamespace, MANY_IDS, ONE_ID } from '../support/namespaces.ts';
import { needs } from '../support/needs.ts';
import { asNobody, NOBODY } from '../support/nobody.ts';
import { type RealRegistry, startDockerRegistry } from '../support/real-registry.ts';
import { node26, repository } from '../support/runtimes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { type Allowed, diffTrees, parseTree, readTree, type Tree, type TreeEntry } from '../support/tree.ts';

const TOOLS = ['docker-registry', 'skopeo', 'umoci', 'runc', 'crun', 'setpriv', 'unshare', 'getfattr'];
const skip = needs({ root: true, tools: [...TOOLS, ...FIXTURE_TOOLS] }) || anyFlavour.skip;
const RECORD = 'user.rootlesscontainers';

/** Where umoci departs from the layers, and we do not. */
const UMOCI_DEFECTS: readonly Allowed[] = [
  { path: 'srv/attrs/user-xattr', attributes: ['xattrs'], reason: 'umoci drops xattrs with an empty value' },
];

describe('an image in a directory', { skip }, () => {
  let registry: RealRegistry;
  let temp: Scratch;
  let ours: Hawser;
  let image: string;
  let layout: string;
  /** The tree that root gets; the yardstick for the others. */
  let rootfs: Tree;

  before(async () => {
    temp = scratch();
    chmodSync(temp.path, 0o711);
    registry = await startDockerRegistry();
    await registry.push(`${await realImage()}:gzip`, 'real:gzip');
    image = `${registry.host}/real:gzip`;
    ours = hawser(anyFlavour, join(temp.path, 'store'));
    layout = `${ours.root}/content:${image}`;
    await ours.ok('unpack', image, '--rootfs', join(temp.path, 'rootfs'));
    rootfs = await readTree(join(temp.path, 'rootfs'));
  });
  after(async () => {
    await registry.close();
    await temp[Symbol.asyncDispose]();
  });

  /** A directory that belongs to nobody, and hawser as nobody with a store there. */
  const nobody = (name: string) => {
    const home = join(temp.path, name);
    mkdirSync(home);
    chownSync(home, NOBODY, NOBODY);
    const run = (...args: readonly string[]): Promise<ExecResult> => {
      const env = { ...process.env, HOME: home, XDG_RUNTIME_DIR: home };
      const [file, ...rest] = asNobody([...anyFlavour.command, '--root', join(home, 'store'), ...args]);
      return exec(file, rest, { env });
    };
    return { home, run };
  };

  test("root's tree is umoci's, with no layer unpacked into a snapshot", async () => {
    const bundle = join(temp.path, 'umoci');
    await execOk('umoci', ['unpack', '--image', layout, bundle]);
    assert.ok(rootfs.size > 8000, `the image is whole: ${rootfs.size} entries`);
    assert.deepEqual(diffTrees(rootfs, await readTree(join(bundle, 'rootfs')), UMOCI_DEFECTS), []);
    assert.deepEqual(readdirSync(join(ours.root, 'snapshots')), []);
  });

  test('a second run is refused by what is there, and with --force gives the same tree', async () => {
    const target = join(temp.path, 'rootfs');
    writeFileSync(join(target, 'etc/added'), '');
    const refused = await ours.run(['unpack', image, '--rootfs', target]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /not empty\nhint: .*--force/);
    await ours.ok('unpack', image, '--rootfs', target, '--force');
    assert.deepEqual(diffTrees(await readTree(target), rootfs), []);
  });

  test('a run that is cut off leaves nothing at the target; the next cleans up after it and completes', async () => {
    const parent = join(temp.path, 'killed');
    mkdirSync(parent);
    const target = join(parent, 'rootfs');
    const interrupted = await ours.run(['unpack', image, '--rootfs', target], whenHalfDone(parent, 'SIGINT'));
    assert.equal(interrupted.code, 130, explain(interrupted));
    assert.deepEqual(readdirSync(parent), []);
    const killed = await ours.run(['unpack', image, '--rootfs', target], whenHalfDone(parent, 'SIGKILL'));
    assert.equal(killed.signal, 'SIGKILL', explain(killed));
    assert.deepEqual([existsSync(target), readdirSync(parent).length], [false, 1]);
    await ours.ok('unpack', image, '--rootfs', target);
    assert.deepEqual(readdirSync(parent), ['rootfs']);
    assert.deepEqual(diffTrees(await readTree(target), rootfs), []);
  });

  test("without root the tree is umoci's rootless one, owners recorded, devices named and left out", async () => {
    const { home, run } = nobody('unprivileged');
    const plain = ['--plain-http', '--owner', 'record'];
    const result = await run('unpack', image, '--rootfs', join(home, 'rootfs'), ...plain);
    assert.equal(result.code, 0, explain(result));
    const devices = [...rootfs].filter(([, entry]) => entry.type === 'char' || entry.type === 'block');
    for (const [path] of devices) assert.match(result.stderr, new RegExp(`left out the device "./${path}"`));
    const bundle = join(home, 'umoci');
    const umoci = ['umoci', 'unpack', '--rootless', '--image', `${home}/store/content:${image}`, bundle];
    const [file, ...args] = asNobody(umoci);
    await execOk(file, args);
    const theirs = new Map(await readTree(join(bundle, 'rootfs')));
    // umoci puts empty files in place of devices.
    for (const [path] of devices) assert.ok(theirs.delete(path), path);
    const tree = await readTree(join(home, 'rootfs'));
    assert.deepEqual(diffTrees(recorded(tree), recorded(theirs), UMOCI_DEFECTS), []);
    for (const [path, entry] of tree) assert.deepEqual([entry.uid, entry.gid], [NOBODY, NOBODY], path);
    const owners = [...rootfs].filter(([path, { type }]) => tree.has(path) && /file|dir/.test(type));
    for (const [path, { uid, gid }] of owners) assert.deepEqual(ownerOf(tree.get(path)), [uid, gid], path);
  });

  test("in a user namespace the mounted image is root's but for the devices", async () => {
    const store = join(temp.path, 'mapped');
    const command = [...anyFlavour.command, '--root', store].map(quote).join(' ');
    const target = join(temp.path, 'mapped-mount');
    mkdirSync(target);
    const reader = [
      node26,
      '--disable-warning=ExperimentalWarning',
      join(repository, 'test/support/tree-reader.ts'),
    ];
    const script = `${command} pull --plain-http ${image} >&2
      ${command} images mount ${image} ${target} >&2
      grep -q ' ${target} overlay .*userxattr' /proc/self/mounts || exit 9
      ${reader.map(quote).join(' ')} ${target}
      ${command} images unmount --rm ${target} >&2`;
    const result = await inNamespace(MANY_IDS, 'sh', ['-e', '-c', script]);
    assert.equal(result.code, 0, explain({ ...result, stdout: '' }));
    const expected = new Map([...rootfs].filter(([, { type }]) => type !== 'char' && type !== 'block'));
    assert.deepEqual(diffTrees(parseTree(result.stdout), expected), []);
    assert.match(result.stderr, /left out the device/);
    // Under other ids it would show other owners.
    const elsewhere = await hawser(anyFlavour, store).run(['images', 'mount', image, target]);
    assert.equal(elsewhere.code, 1, explain(elsewhere));
    assert.match(elsewhere.stderr, /unpacked with the ids of another user namespace/);
  });

  test('an owner that the namespace lacks is named, with the map and the way out; nothing is recorded', async () => {
    const store = join(temp.path, 'unmapped');
    const command = [...anyFlavour.command, '--root', store];
    const [file, ...args] = command;
    assert.ok(file);
    const pull = await inNamespace(ONE_ID, file, [...args, 'pull', '--plain-http', image]);
    assert.equal(pull.code, 1, explain(pull));
    assert.match(pull.stderr, /(file|directory) ".*": it belongs to (user|group) \d+, .*id_map: 0\)/);
    assert.match(pull.stderr, /hint: .*\/etc\/sub[ug]id.*--owner record/);
    assert.equal((await hawser(anyFlavour, store).ok('images', 'ls', '-q')).stdout, '');
    // The way out, with ids that are not mapped.
    const target = join(temp.path, 'unmapped-rootfs');
    const flags = ['--rootfs', target, '--owner', 'record', '--plain-http'];
    const unpacked = await inNamespace(ONE_ID, file, [...args, 'unpack', image, ...flags]);
    assert.equal(unpacked.code, 0, explain(unpacked));
    assert.deepEqual(ownerOf((await readTree(target)).get('srv/attrs/huge-owner')), [4000000000, 3999999999]);
  });

  test('runc and crun start a bundle', async () => {
    const bundle = join(temp.path, 'bundle');
    await ours.ok('bundle', image, bundle);
    setCommand(bundle, 'echo "$GREETING $(id -u) $PWD"; exec head -c 15 /etc/os-release');
    const flags = ['run', '--bundle', bundle, 'hawser-bundle'];
    const byRunc = await execOk('runc', ['--root', join(temp.path, 'runc'), ...flags]);
    assert.equal(byRunc.stdout, 'ahoy 0 /srv\nPRETTY_NAME="De');
    // crun refuses to start where cgroups are half version 1.
    const script = 'mount -t cgroup2 none /sys/fs/cgroup && exec crun "$@"';
    const crun = ['--root', join(temp.path, 'crun'), '--cgroup-manager=disabled', ...flags];
    const byCrun = await execOk('unshare', ['--mount', 'sh', '-c', script, 'sh', ...crun]);
    assert.equal(byCrun.stdout, byRunc.stdout);
  });

  test('runc starts a bundle without root', async () => {
    const { home, run } = nobody('rootless-bundle');
    const bundle = join(home, 'bundle');
    const made = await run('bundle', image, bundle, '--plain-http');
    assert.equal(made.code, 0, explain(made));
    setCommand(bundle, 'id -u; exec touch /srv/mine');
    const env = { ...process.env, HOME: home, XDG_RUNTIME_DIR: home };
    const flags = ['--root', join(home, 'runc'), 'run', '--bundle', bundle, 'hawser-rootless'];
    const [file, ...args] = asNobody(['runc', ...flags]);
    const { stdout } = await execOk(file, args, { env });
    assert.equal(stdout, '0\n');
    assert.ok(existsSync(join(bundle, 'rootfs/srv/mine')));
  });
});

function quote(word: string): string {
  return `'${word}'`;
}

/** Sends the signal once part of the tree is there. */
function whenHalfDone(parent: string, signal: 'SIGINT' | 'SIGKILL'): ExecOptions {
  return {
    started: (child) => {
      const look = setInterval(() => {
        const staging = readdirSync(parent).find((name) => name.startsWith('.rootfs.hawser-'));
        if (staging === undefined || !existsSync(join(parent, staging, 'made/etc'))) return;
        clearInterval(look);
        child.kill(signal);
      }, 20);
      child.on('exit', () => clearInterval(look));
    },
  };
}

function setCommand(bundle: string, script: string): void {
  const path = join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as { process: { args: string[] } };
  config.process.args = ['/bin/sh', '-c', script];
  writeFileSync(path, JSON.stringify(config));
}

/** What the record says, protobuf decoded; umoci writes 2^32-1 ("unchanged") for root. */
function ownerOf(entry: TreeEntry | undefined): [uid: number, gid: number] {
  const bytes = Buffer.from((entry?.xattrs[RECORD] ?? '').slice(2), 'hex');
  const owner: [number, number] = [0, 0];
  for (let at = 0; at < bytes.length; ) {
    const field = (bytes[at++] ?? 0) >> 3;
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) break;
    }
    owner[field - 1] = value === 0xffffffff ? 0 : value;
  }
  return owner;
}

/** With the records decoded. */
function recorded(tree: Tree): Tree {
  return new Map(
    [...tree].map(([path, entry]) => {
      const { [RECORD]: record, ...xattrs } = entry.xattrs;
      const owner = record === undefined ? {} : { [RECORD]: ownerOf(entry).join(':') };
      return [path, { ...entry, xattrs: { ...xattrs, ...owner } }];
    }),
  );
}
