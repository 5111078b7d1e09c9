/**
 * A newcomer gets from the downloaded files to a running container with the commands of README.md and docs/install.md, verbatim: in busybox and musl, in Debian
 * (under CI, or HAWSER_DEBIAN_ROOTS=1), and from outside in a root that has nothing. docker.io is a registry of the test, by a hosts.toml.
 */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { buildImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { execOk } from '../support/exec.ts';
import { findTool, needs } from '../support/needs.ts';
import { Commands, isNotRun } from '../support/readme.ts';
import { ALPINE_LIKE, debian, EMPTY, type Root, skipRoot, wantsDebian } from '../support/roots.ts';
import { repository } from '../support/runtimes.ts';
import { scratch } from '../support/scratch.ts';

const release = join(repository, 'dist/release');
const FILES = ['SHA256SUMS', 'hawser-linux-x64.gz'];
const THIS = 'integration/install.test.ts';
const readme = new Commands('README.md', THIS);
const guide = new Commands('docs/install.md', THIS);
const INSTALL = readme.take('Install', (line) => !isNotRun('README.md', line));
const CONTAINER = guide.take('From the executable to a container');
const CHROOT = guide.take('Without a container runtime');
const FROM_OUTSIDE = guide.take('In a root that has nothing');

function absent(): string | false {
  if (existsSync(join(release, 'SHA256SUMS'))) return false;
  if (process.env.CI === 'true') throw new Error('Under CI the release must be built');
  return 'npm run release has not been run';
}

/** Has runc, and what runc needs of the kernel. */
const WITH_RUNC: readonly Root[] =
  wantsDebian || process.env.CI === 'true' ? [debian('bookworm', 'runc')] : [];

test('no command of the pages is left', () => assert.deepEqual([...readme.left(), ...guide.left()], []));

describe('the commands of README.md and docs/install.md', {
  skip: absent() || needs({ root: true, tools: ['busybox', 'runc', 'unshare', 'chroot'] }),
}, () => {
  let registry: TestRegistry;

  before(async () => {
    registry = await startRegistry();
    const busybox = { name: 'bin/busybox', data: readFileSync(findTool('busybox') ?? ''), mode: 0o755 };
    const links = ['sh', 'cat'].map((name) => ({
      name: `bin/${name}`,
      type: 'symlink' as const,
      linkname: 'busybox',
    }));
    const release = { name: 'etc/os-release', data: 'NAME="the container"\n', mode: 0o644 };
    const config = { config: { Cmd: ['/bin/cat', '/etc/os-release'], Env: ['PATH=/bin'] } };
    const image = await buildImage({
      layers: [{ entries: [busybox, ...links] }, { entries: [release] }],
      config,
    });
    registry.push('library/alpine', '3.20', image);
  });
  after(async () => {
    await registry[Symbol.asyncDispose]();
  });

  /** In a system's root: docker.io is the registry of this test. */
  function configure(root: string): void {
    const dir = join(root, 'etc/containerd/certs.d/docker.io');
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, 'hosts.toml'), `server = "http://${registry.host}"\n`);
  }

  function download(dir: string): void {
    mkdirSync(dir, { recursive: true });
    for (const name of FILES) copyFileSync(join(release, name), join(dir, name));
  }

  for (const root of [ALPINE_LIKE, ...WITH_RUNC]) {
    test(`${root.name}: from the downloaded file to a container`, { skip: skipRoot(root) }, async () => {
      await using dir = scratch();
      await root.make(dir.path);
      configure(dir.path);
      const home = join(dir.path, 'root');
      download(home);
      const hasRunc = WITH_RUNC.includes(root);
      const inside = async (lines: readonly string[]) => await inRoot(dir.path, lines, hasRunc);

      assert.match(await inside(INSTALL), /^hawser-linux-x64\.gz: OK\nhawser \d/);
      if (hasRunc) assert.match(await inside(CONTAINER), /^NAME="the container"$/m);
      else {
        const [runc = '', ...more] = CONTAINER.filter((line) => line.startsWith('runc '));
        assert.deepEqual(more, []);
        await inside(CONTAINER.filter((line) => line !== runc));
        assert.match(await outside(home, [runc]), /^NAME="the container"$/m);
      }
      assert.match(await inside(CHROOT), /^NAME="the container"$/m);
    });
  }

  test(`${EMPTY.name}: from outside`, { skip: skipRoot(EMPTY) }, async () => {
    await using dir = scratch();
    download(dir.path);
    configure(join(dir.path, 'root'));
    assert.match(await outside(dir.path, INSTALL), /^hawser-linux-x64\.gz: OK\nhawser \d/);
    assert.match(await outside(dir.path, FROM_OUTSIDE), /^NAME="the container"$/m);
  });
});

/** Standard output of the lines in the shell of a root, where its user's home is the working directory. */
async function inRoot(root: string, lines: readonly string[], mounts: boolean): Promise<string> {
  const kernel = ['proc', 'sys', 'dev'].map((name) => `mount --rbind /${name} "$0/${name}" && `).join('');
  // A mount point, as the root of a system is: runc changes roots.
  const script = `mount --bind "$0" "$0" && ${mounts ? kernel : ''}exec chroot "$0" /bin/sh -e -c "cd /root; $1"`;
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' };
  const { stdout } = await execOk('unshare', ['--mount', 'sh', '-c', script, root, lines.join('\n')], {
    env,
  });
  return stdout;
}

/** Standard output of the lines in this machine's shell; runc keeps its state to itself. */
async function outside(cwd: string, lines: readonly string[]): Promise<string> {
  const script = 'mkdir -p /run/runc && mount -t tmpfs none /run/runc && exec sh -e -c "$0"';
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: cwd };
  const { stdout } = await execOk('unshare', ['--mount', 'sh', '-c', script, lines.join('\n')], { cwd, env });
  return stdout;
}
