/** The image verifiers of a containerd's node: where they are. What their answers come to: test/unit/verifiers. */
import assert from 'node:assert/strict';
import { chownSync, mkdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { configPath, nodeVerifiers } from '../../../src/backends/containerd/daemon-config.ts';
import { openContainerdBackend } from '../../../src/backends/containerd/open.ts';
import { isKind } from '../../../src/core/errors.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { NODE_VERIFIERS, type Verifiers } from '../../../src/core/verifiers/verifiers.ts';
import { createPrograms } from '../../../src/platform/process/programs.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { failure } from '../../support/failure.ts';
import { fakeContainerd, type Handlers } from '../../support/fake-containerd.ts';
import { needs } from '../../support/needs.ts';
import { startDaemon } from '../../support/processes.ts';
import { digestOf } from '../../support/stores.ts';
import { tempDir } from '../../support/tmp.ts';

const root: Descriptor = { mediaType: 'x/y', digest: digestOf(new Uint8Array(3)), size: 3 };
const subject = { reference: parseReference('reg.test/a:1'), root };
const runtime = { ...bareRuntime(), programs: createPrograms() };

test('verifiers: the configuration file is the one of the command line', () => {
  for (const [args, path] of [
    ['/usr/bin/containerd', '/etc/containerd/config.toml'],
    ['containerd --config /a.toml -l debug', '/a.toml'],
    ['containerd --config=/a.toml', '/a.toml'],
    ['containerd -c b/c.toml', '/cwd/b/c.toml'],
    ['containerd -config /a.toml --config /b.toml', '/b.toml'],
  ] as const)
    assert.equal(configPath(`${args.replaceAll(' ', '\0')}\0`, '/cwd'), path, args);
});

/** A server that says it is this process's neighbour `pid`. */
const server = (pid: number, pidns = readlinkSync('/proc/self/ns/pid')): Handlers => ({
  'introspection.v1.Introspection/Server': () => ({ pid, pidns: Number(/\d+/.exec(pidns)?.[0]) }),
});

const skip = needs({ root: true });

/** The settings of a process that was started with `--config <dir>/config.toml`. */
async function found(
  files: Readonly<Record<string, string>>,
  prepare: (dir: string, socket: string) => void = () => {},
  handlers = server,
): Promise<Verifiers> {
  const dir = tempDir();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(dir.path, name, '..'), { recursive: true });
    writeFileSync(join(dir.path, name), text.replaceAll('DIR', dir.path));
  }
  const args = ['-c', 'while :; do sleep 0.1; done', 'sh', '--config', join(dir.path, 'config.toml')];
  const daemon = await startDaemon('sh', args, async () => true);
  const fake = await fakeContainerd(handlers(daemon.child.pid ?? 0));
  try {
    prepare(dir.path, fake.socket);
    const verifiers = await nodeVerifiers(fake.connection, runtime, {});
    return { ...verifiers, path: verifiers.path.replace(dir.path, 'DIR') };
  } finally {
    await fake[Symbol.asyncDispose]();
    await daemon.stop();
    dir[Symbol.dispose]();
  }
}

const PLUGIN = "[plugins.'io.containerd.image-verifier.v1.bindir']";

test('verifiers: the settings are those of the files that the daemon was started with', {
  skip,
}, async () => {
  assert.deepEqual(await found({ 'config.toml': 'version = 3\n' }), NODE_VERIFIERS);
  const one = `${PLUGIN}\nbin_dir = 'DIR/bin'\nmax_verifiers = -1\nper_verifier_timeout = '1m30s'\n`;
  const all = { path: 'DIR/bin', most: -1, timeLimit: 90_000, mayLack: true };
  assert.deepEqual(await found({ 'config.toml': one }), all);
  const imported = {
    'config.toml': `imports = ['conf.d/*.toml', 'DIR/last']\n${one}`,
    'conf.d/a.toml': `${PLUGIN}\nmax_verifiers = 3\n`,
    'conf.d/a.conf': `${PLUGIN}\nmax_verifiers = 4\n`,
    last: `imports = ['config.toml']\n${PLUGIN}\nbin_dir = 'DIR/other'\n`,
  };
  assert.deepEqual(await found(imported), { ...all, path: 'DIR/other', most: 3 });
  const mended = {
    'config.toml': `imports = ['DIR/last']\n${PLUGIN}\nbin_dir = 'bin'\n`,
    last: `${PLUGIN}\nbin_dir = 'DIR/bin'\n`,
  };
  assert.equal((await found(mended)).path, 'DIR/bin');
});

const UNKNOWN: readonly (readonly [string, () => Promise<unknown>, RegExp])[] = [
  ['the file is no TOML', () => found({ 'config.toml': 'version 3' }), /TOML/],
  ['the file is gone', () => found({ other: '' }), /config\.toml does not exist/],
  [
    'an import is gone',
    () => found({ 'config.toml': "imports = ['/nowhere/x']" }),
    /\/nowhere\/x does not exist/,
  ],
  ...['bin', './bin', '~/bin', '../bin', ' /bin'].map(
    (path) =>
      [
        `the directory ${path} is relative`,
        () => found({ 'config.toml': `${PLUGIN}\nbin_dir = '${path}'\n` }),
        /bin_dir in .*\/config\.toml is no absolute path: "/,
      ] as const,
  ),
  [
    'the directory is no text',
    () => found({ 'config.toml': `${PLUGIN}\nbin_dir = ['DIR/bin']\n` }),
    /bin_dir in .*\/config\.toml is no absolute path/,
  ],
  [
    'the directory of an import is relative',
    () =>
      found({
        'config.toml': `imports = ['DIR/last']\n${PLUGIN}\nbin_dir = 'DIR/bin'\n`,
        last: `${PLUGIN}\nbin_dir = 'bin'\n`,
      }),
    /bin_dir in .*\/last is no absolute path/,
  ],
  [
    'an import is a pattern of directories',
    () => found({ 'config.toml': "imports = ['/a*/x']" }),
    /it imports/,
  ],
  [
    'the daemon says no pid',
    () =>
      found(
        {},
        () => {},
        () => server(0),
      ),
    /which process it is/,
  ],
  [
    'another pid namespace',
    () =>
      found(
        {},
        () => {},
        (pid) => server(pid, 'pid:[1]'),
      ),
    /another pid namespace/,
  ],
  [
    'the socket is another user’s',
    () => found({ 'config.toml': '' }, (_, socket) => chownSync(socket, 65534, 65534)),
    /belongs to user 65534/,
  ],
];

for (const [why, attempt, message] of UNKNOWN) {
  test(`verifiers: ${why}: what the node asks for is not known, and nothing is pulled`, {
    skip,
  }, async () => {
    const err = await failure(attempt());
    assert.ok(isKind(err, 'FailedPrecondition'), String(err));
    assert.match(err.message, /^Cannot find out which image verifiers/);
    assert.match(err.message, message);
  });
}

test('verifiers: a containerd that has them is asked', { skip }, async () => {
  const plugin = (type: string, id: string) => ({ type: `io.containerd.${type}.v1`, id });
  let plugins = [plugin('snapshotter', 'overlayfs')];
  const fake = await fakeContainerd({
    'version.v1.Version/Version': () => ({ version: '2.4.2' }),
    'namespaces.v1.Namespaces/Get': () => ({ namespace: { labels: {} } }),
    'introspection.v1.Introspection/Plugins': () => ({ plugins }),
    ...server(process.pid, 'pid:[1]'),
  });
  const judged = async () => {
    const options = { address: fake.socket, namespace: 'default' };
    const backend = await openContainerdBackend(runtime, options);
    try {
      return await backend.judge?.judge(subject, {});
    } finally {
      await backend[Symbol.asyncDispose]();
    }
  };
  try {
    assert.equal(await judged(), undefined);
    plugins = [...plugins, plugin('image-verifier', 'bindir')];
    assert.match((await failure(judged())).message, /Cannot find out which image verifiers/);
    plugins = [...plugins, plugin('image-verifier', 'special')];
    assert.match((await failure(judged())).message, /Cannot ask containerd's image verifier "special"/);
  } finally {
    await fake[Symbol.asyncDispose]();
  }
});
