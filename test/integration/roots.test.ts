/**
 * The static executable starts and works in any root: no library, no loader, no /proc, as root and as nobody, with a /tmp
 * where nothing may be executed, and where the kernel refuses memfd_create and io_uring.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { makeCerts } from '../registry/certs.ts';
import { buildImage, noise } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { type ExecResult, exec, execOk } from '../support/exec.ts';
import { flavour } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { asNobody, NOBODY } from '../support/nobody.ts';
import { BUSYBOX, debian, EMPTY, MUSL, type Root, skipRoot, wantsDebian } from '../support/roots.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { diffTrees, readTree } from '../support/tree.ts';

const binary = flavour('binary');

const DEBIAN: readonly Root[] = wantsDebian ? ['bookworm', 'bullseye'].map((suite) => debian(suite)) : [];
const ROOTS: readonly Root[] = [EMPTY, BUSYBOX, MUSL, ...DEBIAN];

/** What is changed around the program. */
interface Setting {
  readonly name: string;
  readonly user: number;
  /** Goes before `chroot`. */
  readonly wrap: readonly string[];
  readonly tools: readonly string[];
}

const DENIED = ['memfd_create', 'io_uring_setup', 'io_uring_enter', 'io_uring_register'];
const SETTINGS: readonly Setting[] = [
  { name: 'as root', user: 0, wrap: [], tools: [] },
  { name: 'as nobody', user: NOBODY, wrap: [], tools: [] },
  {
    name: 'where memfd_create and io_uring are denied',
    user: 0,
    wrap: [
      ...['strace', '-f', '-qq', '-o', '/dev/null', '--seccomp-bpf', '-e', `trace=${DENIED.join(',')}`],
      ...['-e', `inject=${DENIED.join(',')}:error=EPERM`],
    ],
    tools: ['strace'],
  },
];

describe('the executable in a root', () => {
  let registry: TestRegistry;
  let reference: string;
  let temp: Scratch;

  before(async () => {
    temp = scratch();
    registry = await startRegistry();
    const file = (name: string, data: string | Uint8Array) => ({ name, data, mode: 0o640 });
    const image = await buildImage({
      layers: [
        { entries: [file('etc/motd', 'first\n'), file('data/noise', noise(3 << 20))] },
        { compression: 'zstd', entries: [file('etc/.wh.motd', ''), file('etc/issue', 'second\n')] },
      ],
    });
    reference = registry.push('sample', 'latest', image);
  });
  after(async () => {
    await registry[Symbol.asyncDispose]();
    await temp[Symbol.asyncDispose]();
  });

  for (const root of ROOTS) {
    for (const setting of SETTINGS) {
      const why = skipRoot(root) || needs({ tools: setting.tools });
      test(`${root.name}, ${setting.name}: it pulls and unpacks the same tree`, { skip: why }, async () => {
        await using dir = scratch();
        await root.make(dir.path);
        install(dir.path, setting.user);
        const run = (...args: string[]): Promise<ExecResult> => inRoot(dir.path, setting, args);
        assert.match((await run('--version')).stdout, /^hawser \d/);
        const fetched = await run('content', 'fetch', '--progress', 'none', reference);
        assert.equal(fetched.code, 0, fetched.stderr);
        const unpacked = await run('unpack', reference, '--rootfs', '/data/tree', '--progress', 'none');
        assert.equal(unpacked.code, 0, unpacked.stderr);
        const want = await outside(setting.user);
        assert.deepEqual(diffTrees(want, await readTree(join(dir.path, 'data/tree'))), []);
        if (setting.user !== 0) return;
        const native = ['--snapshotter', 'native'];
        const pulled = await run('pull', '--progress', 'none', ...native, reference);
        assert.equal(pulled.code, 0, pulled.stderr);
        const listed = await run('snapshots', ...native, 'ls');
        assert.equal(listed.stdout.match(/ Committed/g)?.length, 2);
      });
    }
  }

  /** The tree that the executable makes in this machine's own root. */
  async function outside(user: number): Promise<Awaited<ReturnType<typeof readTree>>> {
    const dir = join(temp.path, `outside-${user}`);
    const [store, tree] = [join(dir, 'store'), join(dir, 'tree')];
    if (!existsSync(tree)) {
      mkdirSync(dir);
      chownSync(dir, user, user);
      chmodSync(temp.path, 0o755);
      const run = async (...args: readonly string[]): Promise<void> => {
        const command = [binary.file ?? '', '--root', store, ...args];
        const [file = '', ...rest] = user === NOBODY ? asNobody(command) : command;
        await execOk(file, rest, { env: {} });
      };
      await run('content', 'fetch', '--progress', 'none', reference);
      await run('unpack', reference, '--rootfs', tree);
    }
    return await readTree(tree);
  }
});

function install(root: string, user: number): void {
  copyFileSync(binary.file ?? '', join(root, 'hawser'));
  chmodSync(join(root, 'hawser'), 0o755);
  mkdirSync(join(root, 'data'));
  chownSync(join(root, 'data'), user, user);
  mkdirSync(join(root, 'tmp'), { recursive: true });
  chmodSync(root, 0o755);
}

/** With /tmp mounted noexec, nothing else mounted, and an empty environment. */
function inRoot(root: string, { user, wrap }: Setting, args: readonly string[]): Promise<ExecResult> {
  const mount = 'mount -t tmpfs -o noexec none "$0/tmp" && exec "$@"';
  const chroot = ['chroot', `--userspec=${user}:${user}`, '--groups=', root];
  const program = ['/hawser', '--root', '/data/store', ...args];
  return exec('unshare', ['--mount', 'sh', '-c', mount, root, ...wrap, ...chroot, ...program], {
    env: { PATH: process.env.PATH ?? '' },
  });
}

/** A registry of this machine is asked in plain HTTP unless its name says otherwise. */
const HOSTS = { '/etc/hosts': '127.0.0.1 registry.test\n' };

/** Where distributions keep their root certificates. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
  '/etc/ssl/certs/one.pem',
];

describe('certificates and names in a root', {
  skip: skipRoot(EMPTY) || needs({ tools: ['openssl'] }),
}, () => {
  let registry: TestRegistry;
  let path: string;
  let ca: string;

  before(async () => {
    const certs = makeCerts();
    ca = certs.ca;
    registry = await startRegistry({ tls: certs });
    const layers = [{ entries: [{ name: 'etc/motd', data: 'hello\n', mode: 0o644 }] }];
    path = registry.push('sample', 'latest', await buildImage({ layers })).replace(/^[^:]+/, '');
  });
  after(async () => {
    await registry[Symbol.asyncDispose]();
  });

  async function fetchIn(files: Readonly<Record<string, string>>): Promise<ExecResult> {
    await using dir = scratch();
    install(dir.path, 0);
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(dir.path, name)), { recursive: true });
      writeFileSync(join(dir.path, name), text);
    }
    const args = ['content', 'fetch', '--progress', 'none', '--retry', '0', `registry.test${path}`];
    return await inRoot(dir.path, SETTINGS[0] as Setting, args);
  }

  for (const bundle of BUNDLES) {
    test(`the root certificate in ${bundle} is trusted`, async () => {
      const result = await fetchIn({ ...HOSTS, [bundle]: ca });
      assert.equal(result.code, 0, result.stderr);
    });
  }

  test('without it the error says what is not trusted, and how to name a certificate', async () => {
    const result = await fetchIn(HOSTS);
    assert.equal(result.code, 1);
    assert.match(result.stderr, /certificate/);
    assert.match(result.stderr, /--tlscacert|SSL_CERT_FILE/);
    assert.doesNotMatch(result.stderr, /Node|use-system-ca|Warning/);
  });

  for (const [name, nsswitch] of [
    ['no nsswitch.conf', undefined],
    ['files and dns', 'hosts: files dns\n'],
    [
      'modules that a static program cannot load',
      'hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns\n',
    ],
  ] as const) {
    test(`a name of /etc/hosts is found with ${name}`, async () => {
      const files = { ...HOSTS, [BUNDLES[0] as string]: ca };
      const switches = nsswitch === undefined ? {} : { '/etc/nsswitch.conf': nsswitch };
      const result = await fetchIn({ ...files, ...switches });
      assert.equal(result.code, 0, result.stderr);
    });
  }
});

/** HAWSER_STARTS sets the number. */
const STARTS = Number(process.env.HAWSER_STARTS ?? 100);

test(`the executable starts ${STARTS} times`, { skip: skipRoot(EMPTY) }, () => {
  const script = `n=0; while [ $n -lt ${STARTS / 2} ]; do "$0" --version || exit 1; n=$((n+1)); done`;
  const half = `( ${script} ) & ( ${script} ); wait $!`;
  const output = execFileSync('sh', ['-c', half, binary.file ?? ''], { encoding: 'utf8', env: {} });
  const lines = output.trim().split('\n');
  assert.equal(lines.length, 2 * Math.ceil(STARTS / 2));
  assert.equal(new Set(lines).size, 1);
});

test('no NODE_* variable acts on the executable', { skip: skipRoot(EMPTY) }, async () => {
  await using dir = scratch();
  const written = join(dir.path, 'written');
  mkdirSync(written);
  const env = {
    NODE_OPTIONS: '--inspect=127.0.0.1:0 --trace-exit',
    NODE_V8_COVERAGE: written,
    NODE_COMPILE_CACHE: written,
    NODE_REDIRECT_WARNINGS: join(written, 'warnings'),
    NODE_DEBUG: 'http,net,worker',
    NODE_DEBUG_NATIVE: 'ALL',
    NODE_EXTRA_CA_CERTS: join(written, 'absent.pem'),
    NODE_PENDING_DEPRECATION: '1',
  };
  const args = ['--root', join(dir.path, 'store'), 'images', 'ls', '-q'];
  const result = await exec(binary.file ?? '', args, { env });
  assert.deepEqual([result.code, result.stdout, result.stderr], [0, '', '']);
  assert.deepEqual(readdirSync(written), []);
});
