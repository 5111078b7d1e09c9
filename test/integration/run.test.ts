/** What hawser makes is what others use: a container starts from its mount, skopeo and umoci read its store. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { execOk } from '../support/exec.ts';
import { FIXTURE_TOOLS, realImage } from '../support/fixtures.ts';
import { anyFlavour, type Hawser, hawser } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { type RealRegistry, startDockerRegistry } from '../support/real-registry.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { type Allowed, diffTrees, readTree } from '../support/tree.ts';

const TOOLS = ['docker-registry', 'skopeo', 'umoci', 'runc', 'getfattr', ...FIXTURE_TOOLS];

/** Where umoci departs from the layers, and we do not. */
const UMOCI_DEFECTS: readonly Allowed[] = [
  { path: 'srv/attrs/user-xattr', attributes: ['xattrs'], reason: 'umoci drops xattrs with an empty value' },
];

const skip = needs({ root: true, tools: TOOLS }) || anyFlavour.skip;

describe('a pulled image', { skip }, () => {
  let registry: RealRegistry;
  let temp: Scratch;
  let ours: Hawser;
  let image: string;
  let target: string;

  before(async () => {
    temp = scratch();
    registry = await startDockerRegistry();
    await registry.push(`${await realImage()}:gzip`, 'real:gzip');
    image = `${registry.host}/real:gzip`;
    ours = hawser(anyFlavour, join(temp.path, 'store'));
    await ours.ok('images', 'pull', image);
    target = join(temp.path, 'mount');
    mkdirSync(target);
  });
  after(async () => {
    await registry.close();
    await temp[Symbol.asyncDispose]();
  });

  const mounted = async (flags: readonly string[], body: () => Promise<void>): Promise<void> => {
    await ours.ok('images', 'mount', ...flags, image, target);
    try {
      await body();
    } finally {
      await ours.ok('images', 'unmount', '--rm', target);
    }
  };
  /** Runs a shell script in a container of runc's over the mount. */
  const run = async (script: string): Promise<string> => {
    const bundle = join(temp.path, 'bundle');
    mkdirSync(bundle, { recursive: true });
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(runtimeConfig(target, script)));
    const flags = ['--root', join(temp.path, 'runc'), 'run', '--bundle', bundle, 'hawser-test'];
    return (await execOk('runc', flags)).stdout;
  };

  test('runs from its mount', async () => {
    await mounted([], async () => {
      const printed = await run(
        '. /etc/os-release; echo "$GREETING $ID $(id -u)"; test -e /etc/issue || echo gone',
      );
      assert.equal(printed, 'ahoy debian 0\ngone\n');
    });
  });

  test('a writable mount keeps what the container writes, and the image stays as it was', async () => {
    await mounted(['--rw'], async () => {
      assert.equal(await run('echo written > /srv/new && rm /srv/kinds/large && cat /srv/new'), 'written\n');
    });
    await mounted([], async () => {
      const tree = await readTree(target);
      assert.equal(tree.get('srv/new'), undefined);
      assert.equal(tree.get('srv/kinds/large')?.size, 8388608);
    });
  });

  test('skopeo inspects the store', async () => {
    const { stdout } = await execOk('skopeo', ['inspect', `oci:${ours.root}/content:${image}`]);
    const seen = JSON.parse(stdout) as { Digest: string; Layers: string[] };
    const { stdout: remote } = await execOk('skopeo', ['inspect', '--tls-verify=false', `docker://${image}`]);
    const there = JSON.parse(remote) as { Digest: string; Layers: string[] };
    assert.equal(seen.Digest, there.Digest);
    assert.deepEqual(seen.Layers, there.Layers);
  });

  test('umoci unpacks the store to the tree that we mount', async () => {
    const bundle = join(temp.path, 'umoci');
    await execOk('umoci', ['unpack', '--image', `${ours.root}/content:${image}`, bundle]);
    await mounted([], async () => {
      const differences = diffTrees(
        await readTree(target),
        await readTree(join(bundle, 'rootfs')),
        UMOCI_DEFECTS,
      );
      assert.deepEqual(differences, []);
    });
  });
});

/** The least that the OCI runtime-spec allows: own mount, PID, IPC and UTS namespaces. */
function runtimeConfig(rootfs: string, script: string): object {
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: ['/bin/sh', '-c', script],
      env: ['PATH=/usr/bin:/bin', 'GREETING=ahoy'],
      cwd: '/srv',
    },
    root: { path: rootfs, readonly: false },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
    ],
    linux: { namespaces: ['mount', 'pid', 'ipc', 'uts'].map((type) => ({ type })) },
  };
}
