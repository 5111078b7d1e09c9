/** image-spec conversion.md, field by field. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runtimeConfig } from '../../../src/core/bundle/runtime-config.ts';
import type { RunConfig } from '../../../src/core/oci/config.ts';
import { MAX_CONFIG_BYTES, parseConfig } from '../../../src/core/oci/documents.ts';
import { encode, pointer } from '../oci/support.ts';

interface Config {
  process: {
    terminal: boolean;
    user: object;
    args: string[];
    env: string[];
    cwd: string;
    noNewPrivileges: boolean;
    capabilities: Record<string, string[]>;
  };
  root: object;
  mounts: { destination: string; type: string; options?: string[] }[];
  annotations: Record<string, string>;
  linux: {
    namespaces: { type: string }[];
    maskedPaths: string[];
    uidMappings?: object[];
    gidMappings?: object[];
  };
}

const NO_COMMAND = 'The image says no command to run: config.json has /bin/sh';
const ROOT = { uid: 0, gid: 0, additionalGids: [] };
type Options = Parameters<typeof runtimeConfig>[1];

function convert(config: object, more: object = {}, options: Partial<Options> = {}) {
  const document = { os: 'linux', architecture: 'arm64', variant: 'v8', config, ...more };
  const image = parseConfig(encode(document), pointer('application/vnd.oci.image.config.v1+json'));
  const made = runtimeConfig(image, { user: ROOT, tty: false, ...options });
  return { ...(JSON.parse(JSON.stringify(made.config)) as Config), warnings: made.warnings };
}

test('Entrypoint and Cmd are one command; neither is a shell, and said', () => {
  const of = (config: Partial<RunConfig>) => convert(config).process.args;
  assert.deepEqual(of({ Entrypoint: ['/e', 'a'], Cmd: ['c', ''] }), ['/e', 'a', 'c', '']);
  assert.deepEqual(of({ Entrypoint: ['/e'] }), ['/e']);
  assert.deepEqual(of({ Cmd: ['c'] }), ['c']);
  const none = convert({});
  assert.deepEqual(none.process.args, ['/bin/sh']);
  assert.match(none.warnings.join(), /no command/);
});

test("Env is the image's, word for word; only what it lacks is added", () => {
  const { env } = convert({ Env: ['PATH=/x', 'A=b=c', 'EMPTY=', 'odd'] }).process;
  assert.deepEqual(env, ['PATH=/x', 'A=b=c', 'EMPTY=', 'odd']);
  const added = convert({ Env: ['A=1'] }, {}, { tty: true }).process;
  assert.deepEqual(added.env, [
    'A=1',
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'TERM=xterm',
  ]);
  assert.equal(added.terminal, true);
});

test('WorkingDir is the directory, absolute in any case', () => {
  const cwds = ['/srv', 'rel', ''].map((WorkingDir) => convert({ WorkingDir }).process.cwd);
  assert.deepEqual(cwds, ['/srv', '/rel', '/']);
});

test('the user, with the primary group among the additional ones (CVE-2023-25173)', () => {
  assert.deepEqual(convert({}).process.user, { uid: 0, gid: 0, additionalGids: [0] });
  const user = { uid: 1, gid: 2, additionalGids: [3, 4] };
  const want = { uid: 1, gid: 2, additionalGids: [2, 3, 4] };
  assert.deepEqual(convert({}, {}, { user }).process.user, want);
});

test('annotations: what the config implies, and labels before it', () => {
  const config = {
    StopSignal: 'SIGRTMIN+3',
    ExposedPorts: { '80/tcp': {}, '53/udp': {} },
    Labels: { maintainer: 'b', 'org.opencontainers.image.author': 'label', '': 'nameless', __proto__: 'x' },
  };
  const more = {
    author: 'config',
    created: '2024-01-01T00:00:00Z',
    'os.version': '10.0',
    'os.features': ['f1', 'f2'],
  };
  const { annotations } = convert(config, more);
  const prefix = 'org.opencontainers.image';
  assert.deepEqual(annotations, {
    [`${prefix}.os`]: 'linux',
    [`${prefix}.architecture`]: 'arm64',
    [`${prefix}.variant`]: 'v8',
    [`${prefix}.os.version`]: '10.0',
    [`${prefix}.os.features`]: 'f1,f2',
    [`${prefix}.author`]: 'label',
    [`${prefix}.created`]: '2024-01-01T00:00:00Z',
    [`${prefix}.stopSignal`]: 'SIGRTMIN+3',
    [`${prefix}.exposedPorts`]: '80/tcp,53/udp',
    maintainer: 'b',
  });
});

test('only labels that describe the image become annotations; the others are left out, and named', () => {
  const orders = {
    'run.oci.hooks.stdout': '/etc/cron.d/x',
    'org.systemd.property.ExecStopPost': '/bin/x',
    'io.katacontainers.config.hypervisor.path': '/x',
    'cdi.k8s.io/x': 'vendor.example/gpu=all',
    'krun.cpus': '64',
    'org.opencontainers.runc.exec.isolated-cpu-affinity-transition': 'final',
    'com.github.containers.virtcontainers.HypervisorPath': '/x',
    'org.opencontainers.image.Title': 'x',
    'org.opencontainers.image.title.x': 'x',
    xmaintainer: 'x',
    'maintainer\n': 'x',
  };
  const kept = {
    maintainer: 'm',
    'org.label-schema.vcs-ref': 'v',
    'org.opencontainers.image.title': 't',
    'org.opencontainers.image.base.digest': 'd',
  };
  const { annotations, warnings } = convert({ Labels: { ...orders, ...kept } });
  for (const key of Object.keys(orders)) assert.ok(!(key in annotations), key);
  for (const [key, value] of Object.entries(kept)) assert.equal(annotations[key], value);
  assert.match(warnings.join(), /Left out 11 labels: "run\.oci\.hooks\.stdout", .* and 6 more: runtimes may/);
});

test('a working directory is normalised, and never one of a process, however it is written', () => {
  const follow = (path: string) => ({ path: path === '/link' ? '/proc/self/fd/7' : path });
  const cwd = (WorkingDir: string) => convert({ WorkingDir }, {}, { follow });
  for (const good of ['/a//b/./c/', '/a/b/x/../c', 'a/b/c']) assert.equal(cwd(good).process.cwd, '/a/b/c');
  assert.equal(cwd('/proc/self/fd/7/../../..').process.cwd, '/proc');
  assert.equal(cwd('../..').process.cwd, '/');
  const bad = [
    '/proc/self/fd/7',
    '//proc/./self/cwd',
    '/x/../proc/1/root',
    '/dev/fd/7',
    '/dev/fd',
    '/link',
    '/a\0b',
  ];
  for (const WorkingDir of bad) {
    const { process, warnings } = cwd(WorkingDir);
    assert.equal(process.cwd, '/', WorkingDir);
    assert.ok(
      warnings.some((one) => one.startsWith('Left out the working directory')),
      WorkingDir,
    );
  }
});

test('volumes are mounts with what the image has there; odd places are left out, and named', () => {
  const paths = [
    '/var/lib/x/',
    '/data',
    '/data/',
    '/',
    '',
    'rel',
    '/a/../../b',
    '/proc',
    '//dev/./shm',
    '/sys/x',
    '/link',
    '/process',
  ];
  const config = { Volumes: Object.fromEntries(paths.map((path) => [path, {}])) };
  const follow = (path: string) => ({ path: path === '/link' ? '/proc/x' : path });
  const { mounts, warnings } = convert(config, {}, { follow });
  const made = mounts.filter((mount) => mount.options?.includes('tmpcopyup'));
  assert.deepEqual(
    made.map((mount) => mount.destination),
    ['/data', '/process', '/var/lib/x'],
  );
  assert.equal(warnings.filter((one) => one.startsWith('Left out the volume')).length, 8);
});

test("a volume has the owner and the mode of the image's directory, and comes after one above it", () => {
  const directory = { uid: 1000, gid: 1001, mode: 0o1770 };
  const follow = (path: string) => (path === '/data/own' ? { path, directory } : { path });
  const Volumes = { '/data/own': {}, '/data': {} };
  const options = (rootless?: { uid: number; gid: number }) =>
    convert({ Volumes }, {}, { follow, rootless })
      .mounts.filter((mount) => mount.options?.includes('tmpcopyup'))
      .map((mount) => [mount.destination, ...(mount.options ?? [])].join(' '));
  assert.deepEqual(options(), [
    '/data nosuid nodev mode=755 tmpcopyup',
    '/data/own nosuid nodev mode=1770 uid=1000 gid=1001 tmpcopyup',
  ]);
  // In a user namespace of one user everything is that user's.
  assert.deepEqual(options({ uid: 5, gid: 5 })[1], '/data/own nosuid nodev mode=1770 tmpcopyup');
});

test('the defaults: namespaces, masked paths, no more privileges, a writable root', () => {
  const { process, linux, root, mounts } = convert({});
  assert.deepEqual(
    linux.namespaces.map((one) => one.type),
    ['pid', 'ipc', 'uts', 'mount', 'network'],
  );
  assert.ok(linux.maskedPaths.includes('/proc/kcore'));
  assert.equal(process.noNewPrivileges, true);
  assert.ok(!process.capabilities.bounding?.includes('CAP_SYS_ADMIN'));
  assert.deepEqual(Object.keys(process.capabilities), ['bounding', 'effective', 'permitted']);
  assert.deepEqual(root, { path: 'rootfs', readonly: false });
  assert.deepEqual(
    mounts.map((mount) => mount.destination),
    ['/proc', '/dev', '/dev/pts', '/dev/shm', '/dev/mqueue', '/sys', '/sys/fs/cgroup'],
  );
});

test('without root: a user namespace of one user, who is root there whatever the image says', () => {
  const user = { uid: 33, gid: 33, additionalGids: [4] };
  const made = convert({}, {}, { user, rootless: { uid: 1000, gid: 100 } });
  assert.deepEqual(made.process.user, { uid: 0, gid: 0 });
  assert.match(made.warnings.join(), /33:33/);
  const root = { uid: 0, gid: 0, additionalGids: [10] };
  assert.deepEqual(convert({}, {}, { user: root, rootless: { uid: 1, gid: 1 } }).warnings, [NO_COMMAND]);
  assert.deepEqual(made.linux.uidMappings, [{ containerID: 0, hostID: 1000, size: 1 }]);
  assert.deepEqual(made.linux.gidMappings, [{ containerID: 0, hostID: 100, size: 1 }]);
  assert.deepEqual(
    made.linux.namespaces.map((one) => one.type),
    ['pid', 'ipc', 'uts', 'mount', 'user'],
  );
  const options = made.mounts.flatMap((mount) => mount.options ?? []);
  assert.ok(!options.includes('gid=5') && !made.mounts.some((mount) => mount.type === 'cgroup'));
});

test('a config of the largest size is converted', () => {
  const Env = Array.from({ length: 50_000 }, (_, i) => `V${i}=${'x'.repeat(20)}`);
  assert.ok(encode({ config: { Env } }).length < MAX_CONFIG_BYTES);
  assert.equal(convert({ Env }).process.env.length, 50_001);
});
