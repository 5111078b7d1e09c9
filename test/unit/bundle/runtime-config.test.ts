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

test('the user, with additional groups only if there are any', () => {
  assert.deepEqual(convert({}).process.user, { uid: 0, gid: 0 });
  const user = { uid: 1, gid: 2, additionalGids: [3, 4] };
  assert.deepEqual(convert({}, {}, { user }).process.user, user);
});

test('annotations: what the config implies, and labels before it', () => {
  const config = {
    StopSignal: 'SIGRTMIN+3',
    ExposedPorts: { '80/tcp': {}, '53/udp': {} },
    Labels: { a: 'b', 'org.opencontainers.image.author': 'label', '': 'nameless', __proto__: 'x' },
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
    a: 'b',
  });
});

test('labels that runtimes take for orders are left out, and named', () => {
  const Labels = {
    'run.oci.hooks.stdout': '/etc/cron.d/x',
    'org.systemd.property.ExecStopPost': '/bin/x',
    'io.katacontainers.config.hypervisor.path': '/x',
    'run.ocim': 'kept',
  };
  const { annotations, warnings } = convert({ Labels });
  assert.deepEqual(
    Object.keys(annotations).filter((key) => !key.startsWith('org.opencontainers.')),
    ['run.ocim'],
  );
  for (const key of Object.keys(Labels).slice(0, 3)) assert.ok(warnings.join().includes(key), key);
});

test('volumes are mounts with what the image has there; odd places are left out, and named', () => {
  const paths = [
    '/data',
    '/var/lib/x/',
    '/',
    '',
    'rel',
    '/a/../../b',
    '/proc',
    '/dev/shm',
    '/sys/x',
    '/process',
  ];
  const config = { Volumes: Object.fromEntries(paths.map((path) => [path, {}])) };
  const { mounts, warnings } = convert(config);
  const made = mounts.filter((mount) => mount.options?.includes('tmpcopyup'));
  assert.deepEqual(
    made.map((mount) => mount.destination),
    ['/data', '/var/lib/x/', '/process'],
  );
  assert.equal(warnings.filter((one) => one.startsWith('Left out the volume')).length, 7);
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
