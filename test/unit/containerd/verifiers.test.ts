/** The image verifiers of a containerd's node: who is asked, and what their answers come to. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { configPath, verifierSettings } from '../../../src/backends/containerd/daemon-config.ts';
import { openContainerdBackend } from '../../../src/backends/containerd/open.ts';
import {
  DEFAULT_SETTINGS,
  type VerifierSettings,
  verifyImage,
} from '../../../src/backends/containerd/verifiers.ts';
import { isKind, type Kind } from '../../../src/core/errors.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { createPrograms } from '../../../src/platform/process/programs.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { failure } from '../../support/failure.ts';
import { fakeContainerd, type Handlers } from '../../support/fake-containerd.ts';
import { needs } from '../../support/needs.ts';
import { startDaemon } from '../../support/processes.ts';
import { digestOf } from '../../support/stores.ts';
import { tempDir } from '../../support/tmp.ts';

const target: Descriptor = { mediaType: 'x/y', digest: digestOf(new Uint8Array(3)), size: 3 };
const runtime = { ...bareRuntime(), programs: createPrograms() };

async function inDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = tempDir();
  try {
    await body(dir.path);
  } finally {
    dir[Symbol.dispose]();
  }
}

function install(dir: string, programs: Readonly<Record<string, string>>): void {
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(dir, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(dir, name), 0o755);
  }
}

test('HA20: verifiers: each gets name, digest and descriptor, by the order of the names; all must accept', () =>
  inDir(async (dir) => {
    const log = join(dir, 'log');
    mkdirSync(join(dir, 'bin'));
    const say = `{ echo "$0" "$@"; cat; } >> ${log}`;
    install(join(dir, 'bin'), { b: say, a: `${say}; head -c 40000 /dev/zero`, c: say });
    const settings = { ...DEFAULT_SETTINGS, dir: join(dir, 'bin') };
    await verifyImage(runtime, settings, 'reg.test/a:1', target, {});
    const args = `-name reg.test/a:1 -digest ${target.digest} -stdin-media-type application/vnd.oci.descriptor.v1+json`;
    const lines = ['a', 'b', 'c'].map((name) => `${dir}/bin/${name} ${args}\n${JSON.stringify(target)}\n`);
    assert.equal(readFileSync(log, 'utf8'), lines.join(''));
    writeFileSync(log, '');
    await verifyImage(runtime, { ...settings, most: 2 }, 'reg.test/a:1', target, {});
    await verifyImage(runtime, { ...settings, most: 0 }, 'reg.test/a:1', target, {});
    assert.equal(readFileSync(log, 'utf8'), lines.slice(0, 2).join(''));
    await verifyImage(runtime, { ...settings, dir: join(dir, 'none') }, 'reg.test/a:1', target, {});
  }));

const ANSWERS: readonly (readonly [string, string, Kind, RegExp])[] = [
  [
    'refuses',
    'echo by policy; exit 1',
    'PermissionDenied',
    /verifier it .* refuses reg.test\/a:1 .*: by policy$/,
  ],
  ['refuses in silence', 'exit 7', 'PermissionDenied', /it exited with 7/],
  ['is killed', 'kill -9 $$', 'FailedPrecondition', /gives no answer: a signal ended it/],
  ['takes too long', 'exec sleep 20', 'FailedPrecondition', /gives no answer: .*took over/],
  ['writes without end', 'exec cat /dev/zero', 'FailedPrecondition', /gives no answer: .*wrote more than/],
];

for (const [how, script, kind, message] of ANSWERS) {
  test(`HA20: verifiers: one that ${how} blocks the pull`, () =>
    inDir(async (dir) => {
      install(dir, { accepts: 'true', it: script });
      const settings = { ...DEFAULT_SETTINGS, dir, timeLimit: 500 };
      const err = await failure(verifyImage(runtime, settings, 'reg.test/a:1', target, {}));
      assert.ok(isKind(err, kind), String(err));
      assert.match(err.message, message);
    }));
}

test('HA20: verifiers: one that is no program blocks the pull', () =>
  inDir(async (dir) => {
    mkdirSync(join(dir, 'folder'));
    const settings = { ...DEFAULT_SETTINGS, dir };
    const err = await failure(verifyImage(runtime, settings, 'reg.test/a:1', target, {}));
    assert.ok(isKind(err, 'FailedPrecondition'), String(err));
  }));

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
): Promise<VerifierSettings> {
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
    const settings = await verifierSettings(fake.connection, runtime, {});
    return { ...settings, dir: settings.dir.replace(dir.path, 'DIR') };
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
  assert.deepEqual(await found({ 'config.toml': 'version = 3\n' }), DEFAULT_SETTINGS);
  const one = `${PLUGIN}\nbin_dir = 'DIR/bin'\nmax_verifiers = -1\nper_verifier_timeout = '1m30s'\n`;
  const all = { dir: 'DIR/bin', most: -1, timeLimit: 90_000 };
  assert.deepEqual(await found({ 'config.toml': one }), all);
  const imported = {
    'config.toml': `imports = ['conf.d/*.toml', 'DIR/last']\n${one}`,
    'conf.d/a.toml': `${PLUGIN}\nmax_verifiers = 3\n`,
    'conf.d/a.conf': `${PLUGIN}\nmax_verifiers = 4\n`,
    last: `imports = ['config.toml']\n${PLUGIN}\nbin_dir = 'DIR/other'\n`,
  };
  assert.deepEqual(await found(imported), { ...all, dir: 'DIR/other', most: 3 });
});

const UNKNOWN: readonly (readonly [string, () => Promise<unknown>, RegExp])[] = [
  ['the file is no TOML', () => found({ 'config.toml': 'version 3' }), /TOML/],
  ['the file is gone', () => found({ other: '' }), /config\.toml does not exist/],
  [
    'an import is gone',
    () => found({ 'config.toml': "imports = ['/nowhere/x']" }),
    /\/nowhere\/x does not exist/,
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
  [
    'others can add verifiers',
    () =>
      found({ 'config.toml': `${PLUGIN}\nbin_dir = 'DIR/bin'`, 'bin/a': '' }, (dir) =>
        chmodSync(join(dir, 'bin'), 0o1777),
      ),
    /can be written to by other users/,
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

test('verifiers: a containerd that has them is asked; "none" or a directory of the user’s go before', {
  skip,
}, async () => {
  const plugin = (type: string, id: string) => ({ type: `io.containerd.${type}.v1`, id });
  let plugins = [plugin('snapshotter', 'overlayfs')];
  const fake = await fakeContainerd({
    'version.v1.Version/Version': () => ({ version: '2.4.2' }),
    'namespaces.v1.Namespaces/Get': () => ({ namespace: { labels: {} } }),
    'introspection.v1.Introspection/Plugins': () => ({ plugins }),
    ...server(process.pid, 'pid:[1]'),
  });
  const admit = async (imageVerifiers?: string) => {
    const options = { address: fake.socket, namespace: 'default' };
    const backend = await openContainerdBackend(runtime, options);
    try {
      await backend.admit?.('reg.test/a:1', target, { imageVerifiers });
    } finally {
      await backend[Symbol.asyncDispose]();
    }
  };
  try {
    await admit();
    plugins = [...plugins, plugin('image-verifier', 'bindir')];
    assert.match((await failure(admit())).message, /^Cannot find out which image verifiers/);
    await admit('none');
    await inDir(async (dir) => {
      install(dir, { no: 'exit 1' });
      assert.ok(isKind(await failure(admit(dir)), 'PermissionDenied'));
    });
    plugins = [...plugins, plugin('image-verifier', 'special')];
    assert.match((await failure(admit())).message, /Cannot ask containerd's image verifier "special"/);
  } finally {
    await fake[Symbol.asyncDispose]();
  }
});
