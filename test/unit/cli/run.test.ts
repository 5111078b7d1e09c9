/** Exit codes and streams, with a fake runtime and fake services. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '../../../src/cli/run.ts';
import { orHint } from '../../../src/cli/session/not-found.ts';
import type { Services } from '../../../src/cli/session/services.ts';
import { HawserError, hintOf, messageOf } from '../../../src/core/errors.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import type { Credentials } from '../../../src/core/registry/credentials/credential.ts';
import type { Hosts } from '../../../src/core/registry/hosts.ts';
import type { PullOptions } from '../../../src/core/verbs/options.ts';
import { type FakeOptions, fakeRuntime } from './fake-runtime.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
const target = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 10 };
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: 100 };

interface Seen {
  backend: { root: string; namespace: string; readOnly?: boolean | undefined } | undefined;
  registry: Record<string, unknown> | undefined;
  containerd: { address: string; namespace: string } | undefined;
  pull: PullOptions | undefined;
  closed: string[];
}

/** Services whose pull does `work`. */
function services(
  work: (options: PullOptions) => Promise<void> = async () => {},
  closing: () => void = () => {},
): {
  services: Services;
  seen: Seen;
} {
  const seen: Seen = {
    backend: undefined,
    registry: undefined,
    containerd: undefined,
    pull: undefined,
    closed: [],
  };
  const closed = (name: string) => async () => {
    seen.closed.push(name);
    closing();
  };
  const transfer = async (_: unknown, options: PullOptions) => {
    seen.pull = options;
    await work(options);
    return { name: options.reference.name, target, unpacked: [] };
  };
  const backend = (name: string) => ({
    leases: { list: async () => [] },
    images: {
      list: async () => [],
      get: async (name: string) => {
        throw new HawserError('NotFound', `image "${name}": not found`);
      },
      deleteAll: async () => [],
      deleteUnchanged: async () => [],
    },
    lostIndexes: [],
    snapshotter: () => ({}),
    collect: async () => void seen.closed.push('collected'),
    [Symbol.asyncDispose]: closed(name),
  });
  const fake = {
    backends: {
      local: async (_: unknown, opts: NonNullable<Seen['backend']>) => {
        seen.backend = opts;
        return backend('backend');
      },
      containerd: async (_: unknown, { address, namespace }: NonNullable<Seen['containerd']>) => {
        seen.containerd = { address, namespace };
        return backend('containerd');
      },
    },
    openRegistry: (_: unknown, opts: Record<string, unknown>) => {
      seen.registry = opts;
      return { [Symbol.asyncDispose]: closed('registry') };
    },
    pull: transfer,
    fetchImage: transfer,
  };
  return { services: fake as unknown as Services, seen };
}

async function go(
  line: string | string[],
  opts: FakeOptions = {},
  work?: (options: PullOptions) => Promise<void>,
  closing?: () => void,
) {
  const fake = fakeRuntime(opts);
  const { services: given, seen } = services(work, closing);
  const code = await run(fake.runtime, typeof line === 'string' ? line.split(' ') : line, given);
  return { code, out: fake.out(), err: fake.err(), seen, left: fake.left(), silent: fake.silent };
}

test('run: help and version are on standard output, exit 0', async () => {
  const help = await go('help');
  assert.equal(help.code, 0);
  assert.match(help.out, /^hawser pulls container images/);
  assert.match(help.out, /--namespace, -n NAME .*\[\$CONTAINERD_NAMESPACE\]/s);
  assert.equal(help.err, '');
  assert.match((await go('images pull -h')).out, /Usage:\n {2}hawser images pull \[flags\] \[ref\.\.\.\]\n/);
  assert.match((await go('images')).out, /delete, del, remove, rm/);
  assert.match((await go('--version')).out, /^hawser \d+\.\d+\.\d+ \(node 1\.2\.3, linux\/amd64\)\n$/);
  assert.equal((await go('version')).out, (await go('-v')).out);
});

test('run: wrong usage is exit 2, one message and one hint', async () => {
  const { code, out, err } = await go('images pul x');
  assert.equal(code, 2);
  assert.equal(out, '');
  assert.equal(err, 'hawser: unknown command "images pul"\nhint: Did you mean hawser images pull?\n');
  assert.equal((await go('pull x --platform linux/amd64 --all-platforms')).code, 2);
  assert.equal((await go('pull x --label =v')).code, 2);
  assert.equal(
    (await go('pull x --tlscert /a')).err.split('\n')[0],
    'hawser: flags --tlscert and --tlskey must be set together',
  );
  assert.equal((await go('images ls --timeout 5')).code, 2);
  assert.match(
    (await go('import http://h.io/a.tar')).err,
    /an archive comes by https only\nhint: .*--sha256 and --plain-http/,
  );
  assert.match(
    (await go('import https://me:secret@h.io/a.tar')).err,
    /^hawser: a URL with credentials is not taken\nhint: .*curl -fL --netrc URL \| hawser import -\n$/,
  );
  for (const line of [
    'unpack x --force',
    'import HTTP://h.io/a.tar',
    'unpack x --owner ours',
    'images unpack x --owner root --rootfs /d',
    'unpack x --rootfs /d --snapshotter native',
    'unpack',
    'bundle x',
    'bundle x /d --snapshotter native',
  ]) {
    assert.equal((await go(line)).code, 2, line);
  }
});

test('run: an error is exit 1, without controls, secrets or a stack', async () => {
  const fail = async () => {
    throw new HawserError('Unavailable', 'GET https://u:pw@h/?sig=x: \u001b[31mreset\nby peer', {
      hint: 'try\u0007',
    });
  };
  const { code, err, out, seen, left } = await go('pull localhost:5000/a:b', {}, fail);
  assert.equal(code, 1);
  assert.equal(err, 'hawser: GET https://***@h/?***: \\x1b[31mreset\\x0aby peer\nhint: try\\x07\n');
  assert.equal(out, '');
  assert.deepEqual(seen.closed, ['registry', 'backend']);
  assert.equal(left, 0);
  const debug = await go('pull localhost:5000/a:b --debug', {}, fail);
  assert.match(debug.err, /run\.test\.ts/);
  assert.doesNotMatch(debug.err, /pw|\u001b/);
});

test('run: what the system refuses is no bug of ours', async () => {
  const system: readonly object[] = [
    { code: 'EIO' },
    { code: 'ENOSPC' },
    { code: 'ERR_SQLITE_ERROR', errcode: 10 },
    { code: 'ERR_SQLITE_ERROR', errcode: (3 << 8) | 10 },
  ];
  for (const detail of system) {
    const { err } = await go('pull localhost:5000/a:b', {}, async () => {
      throw new HawserError('Internal', 'failed', { cause: Object.assign(new Error('x'), detail) });
    });
    assert.equal(err, 'hawser: failed\n');
  }
  for (const detail of [{ code: 'ERR_INVALID_ARG_TYPE' }, { code: 'ERR_SQLITE_ERROR', errcode: 19 }]) {
    const { err } = await go('pull localhost:5000/a:b', {}, async () => {
      throw new HawserError('Internal', 'failed', { cause: Object.assign(new Error('x'), detail) });
    });
    assert.match(err, /looks like a bug/);
  }
});

test('run: what is not a HawserError is exit 1 too', async () => {
  const { code, err } = await go('pull localhost:5000/a:b', {}, async () => {
    throw new TypeError('oops');
  });
  assert.equal(code, 1);
  assert.match(err, /^hawser: oops\nhint: This looks like a bug in hawser: .*--debug.*\n$/);
});

/** Work that goes on until it is aborted. */
const endless = (options: PullOptions) =>
  new Promise<void>((_, reject) => {
    options.signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
  });

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  test(`run: ${signal} aborts the work, exit ${code}`, async () => {
    const fake = fakeRuntime();
    const { services: given, seen } = services(async (options) => {
      queueMicrotask(() => fake.interrupt(signal));
      await endless(options);
    });
    assert.equal(await run(fake.runtime, ['pull', 'localhost:5000/a:b'], given), code);
    assert.equal(fake.err(), 'hawser: interrupted\n');
    assert.deepEqual(seen.closed, ['registry', 'backend']);
    assert.equal(fake.left(), 0);
  });
}

test('run: a second interrupt does not wait for the work', async () => {
  const fake = fakeRuntime();
  const { services: given } = services(async () => {
    queueMicrotask(() => {
      fake.interrupt('SIGINT');
      fake.interrupt('SIGINT');
    });
    await new Promise(() => {});
  });
  assert.equal(await run(fake.runtime, ['pull', 'localhost:5000/a:b'], given), 130);
});

test('run: cleaning up is told, and has a limit', async () => {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const fake = fakeRuntime();
    const { services: given } = services(async () => {
      queueMicrotask(() => fake.interrupt(signal));
      await new Promise(() => {});
    });
    const ended = run(fake.runtime, ['pull', 'localhost:5000/a:b', '--progress', 'none'], given);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(fake.err(), '');
    fake.wake(1000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.match(
      fake.err(),
      /^hawser: interrupted; cleaning up, for 30s at most \(Ctrl-C ends it at once\)\n$/,
    );
    fake.wake(30_000);
    assert.equal(await ended, code);
    assert.equal(fake.left(), 0);
  }
});

test('run: the time limit ends the work, exit 1', async () => {
  const fake = fakeRuntime();
  const { services: given } = services(async (options) => {
    queueMicrotask(() => fake.wake());
    await endless(options);
  });
  assert.equal(await run(fake.runtime, ['pull', 'localhost:5000/a:b', '--timeout', '90s'], given), 1);
  assert.match(fake.err(), /^hawser: not done within 1m30s\nhint: .*--timeout/);
});

const readOnly = () => {
  throw new HawserError('FailedPrecondition', 'removing run/1.lock: EROFS');
};

test('run: what cleaning up meets is a note below the error and its hint', async () => {
  const fail = async () => {
    throw new HawserError('ResourceExhausted', 'no space left', { hint: 'Free some' });
  };
  const note = 'note: removing run/1.lock: EROFS\n';
  const plain = await go('pull localhost:5000/a:b', {}, fail, readOnly);
  assert.deepEqual([plain.code, plain.err], [1, `hawser: no space left\nhint: Free some\n${note}${note}`]);
  const json = await go('pull localhost:5000/a:b --progress json', {}, fail, readOnly);
  const event = JSON.parse(json.out) as { notes: string[]; message: string };
  assert.deepEqual(
    [event.message, event.notes],
    ['no space left', ['removing run/1.lock: EROFS', 'removing run/1.lock: EROFS']],
  );
  const fake = fakeRuntime();
  const { services: given } = services(async (options) => {
    queueMicrotask(() => fake.interrupt('SIGTERM'));
    await endless(options);
  }, readOnly);
  assert.equal(await run(fake.runtime, ['pull', 'localhost:5000/a:b'], given), 143);
  assert.equal(fake.err(), `hawser: interrupted\n${note}${note}`);
});

test('run: after success nothing that fails makes it a failure', async () => {
  for (const line of ['pull localhost:5000/a:b --progress none', 'images ls', 'images rm x']) {
    const { code, err } = await go(line, {}, undefined, readOnly);
    assert.equal(code, 0, err);
    assert.match(err, /warning: closing the store: removing run\/1\.lock: EROFS\n$/, line);
  }
  const full = await go('pull localhost:5000/a:b', { fullStdout: true });
  assert.deepEqual([full.code, full.err], [0, 'warning: the work is done, but: no space left\n']);
  const list = await go('images ls', { fullStdout: true });
  assert.deepEqual([list.code, list.err], [1, 'hawser: no space left\n']);
});

test('run: output that nobody reads ends quietly', async () => {
  const { code, err } = await go('version', { closedStdout: true });
  assert.equal(code, 141);
  assert.equal(err, '');
});

test('run: the store is where flags, environment and user say', async () => {
  const rootOf = async (args: string, opts: FakeOptions) =>
    (await go(`images ls ${args}`.trim(), opts)).seen.backend?.root;
  assert.equal(await rootOf('', {}), '/var/lib/hawser');
  assert.equal(await rootOf('', { uid: 7, env: { HOME: '/h' } }), '/h/.local/share/hawser');
  assert.equal(await rootOf('', { uid: 7, env: { HOME: '/h', XDG_DATA_HOME: '/x' } }), '/x/hawser');
  assert.equal(await rootOf('', { env: { HAWSER_ROOT: '/r' } }), '/r');
  assert.equal(await rootOf('--root /q', { env: { HAWSER_ROOT: '/r' } }), '/q');
  assert.equal(await rootOf('--root q', { cwd: '/w', env: { PWD: '/other' } }), '/w/q');
  assert.match((await go('images ls', { uid: 7 })).err, /neither XDG_DATA_HOME nor HOME/);
});

test('run: the namespace is checked in the words of containerd', async () => {
  assert.equal((await go('images ls')).seen.backend?.namespace, 'default');
  assert.equal((await go('-n k8s.io images ls')).seen.backend?.namespace, 'k8s.io');
  const { code, err } = await go(['-n', 'bad ns!', 'images', 'ls']);
  assert.equal(code, 1);
  assert.match(err, /namespace validation: identifier "bad ns!" must match \^\[A-Za-z0-9\]\+/);
});

test('run, C7: where a namespace of Kubernetes or Docker is, is told when no store is named', async () => {
  const says =
    /^warning: this is the namespace k8s\.io of hawser's own store, \/var\/lib\/hawser, .*--address/;
  for (const line of ['-n k8s.io images ls', '-n k8s.io pull reg.io/a --progress none'])
    assert.match((await go(line)).err, says, line);
  assert.match((await go('images ls', { env: { CONTAINERD_NAMESPACE: 'k8s.io' } })).err, says);
  for (const line of ['-n k8s.io -a /s images ls', '-n k8s.io --root /r images ls', '-n other images ls'])
    assert.equal((await go(line)).err, '', line);
  assert.equal((await go('-n k8s.io images ls', { env: { HAWSER_ROOT: '/r' } })).err, '');
});

test('run: --address and CONTAINERD_ADDRESS choose a containerd, unless a store is named', async () => {
  const given = await go('-a /run/c.sock -n k8s.io images ls');
  assert.equal(given.code, 0);
  assert.deepEqual(given.seen.containerd, { address: '/run/c.sock', namespace: 'k8s.io' });
  assert.equal(given.seen.backend, undefined);
  assert.deepEqual(given.seen.closed, ['containerd']);
  const addressOf = async (args: string, env: Record<string, string>) =>
    (await go(args, { env })).seen.containerd?.address;
  const env = { CONTAINERD_ADDRESS: '/env', HAWSER_ROOT: '/r', PWD: '/other' };
  assert.equal(await addressOf('images ls', env), '/env');
  assert.equal(await addressOf('-a run/here images ls', env), '/home/me/run/here');
  assert.equal(await addressOf('-a unix:///s images ls', env), 'unix:///s');
  assert.equal(await addressOf('--root /q images ls', env), undefined);
  assert.equal(await addressOf('--address= images ls', env), undefined);
  assert.equal((await go('version', { env })).code, 0);
  const both = await go('-a /s --root /q images ls');
  assert.equal(both.code, 2);
  assert.match(both.err, /cannot specify both --root and --address/);
});

test('run: flags that cannot act are errors, not ignored', async () => {
  const env = { CONTAINERD_ADDRESS: '/s', XDG_DATA_HOME: '/x' };
  for (const args of ['bundle a /dir', 'unpack a --rootfs /dir', '--content-sharing isolated pull a']) {
    const { code, err, seen } = await go(args, { env });
    assert.equal(code, 1, args);
    assert.match(
      err,
      /Cannot do this inside containerd: (?:--|it takes a store).*\nhint: Unset CONTAINERD_ADDRESS/,
      args,
    );
    assert.deepEqual([seen.backend, seen.containerd, seen.pull], [undefined, undefined, undefined], args);
    assert.match((await go(`-a /s ${args}`)).err, /hint: Leave --address away/, args);
  }
  for (const args of ['pull a --codec portable', 'pull a --max-layer-size 1G --max-layer-ratio 9']) {
    assert.equal((await go(args, { env })).code, 0, args);
  }
});

test('run: an empty path is no path', async () => {
  for (const line of [
    ['--root', '', 'images', 'ls'],
    ['pull', 'a', '--trace', ''],
    ['pull', 'a', '--hosts-dir='],
  ])
    assert.match((await go(line)).err, /Cannot use an empty path\nhint: /, line.join(' '));
});

test('run: --hosts-dir is where hosts are looked up, below the working directory when relative', async () => {
  for (const dir of ['/d', 'd']) {
    const { seen } = await go(`pull reg.io/a --hosts-dir ${dir}`, { cwd: '/' });
    const hosts = seen.registry?.hosts as Hosts;
    await assert.rejects(
      hosts(parseReference('reg.io/a'), {}),
      /Cannot use the hosts directory \/d: no such/,
    );
  }
});

test('run: commands that only look open the store to read', async () => {
  assert.equal((await go('images ls')).seen.backend?.readOnly, true);
  assert.equal((await go('images rm x')).seen.backend?.readOnly, false);
});

test('run: what is not there is told with what to do', async () => {
  const { code, err } = await go('images inspect nope');
  assert.deepEqual(
    [code, err],
    [
      1,
      'hawser: image "nope": not found\nhint: Pull it: hawser pull nope; hawser images ls lists the images of this namespace\n',
    ],
  );
  const absent = async () => {
    throw new HawserError('NotFound', 'gone');
  };
  await assert.rejects(
    orHint(absent(), 'Look'),
    (err) => hintOf(err) === 'Look' && messageOf(err) === 'gone',
  );
  const told = async () => {
    throw new HawserError('NotFound', 'gone', { hint: 'Its own' });
  };
  await assert.rejects(orHint(told(), 'Look'), (err) => hintOf(err) === 'Its own');
  const broken = async () => {
    throw new HawserError('DataLoss', 'broken');
  };
  await assert.rejects(orHint(broken(), 'Look'), (err) => hintOf(err) === undefined);
});

test('run: removing what is not there warns, exit 0, and collects', async () => {
  const { code, err, out, seen } = await go('images rm nope');
  assert.equal(code, 0);
  assert.equal(err, 'nope: image not found\n');
  assert.equal(out, '');
  assert.deepEqual(seen.closed, ['collected', 'backend']);
});

test('run: an empty list has its header, a check of nothing prints nothing', async () => {
  assert.equal((await go('images ls')).out, 'REF TYPE DIGEST SIZE PLATFORMS LABELS \n');
  assert.equal((await go('images ls -q')).out, '');
  assert.equal((await go('images check')).out, '');
});

test('run: a bad filter is told with the words of ctr', async () => {
  const { code, err } = await go(['images', 'ls', 'bad===']);
  assert.equal(code, 1);
  assert.match(
    err,
    /^hawser: failed to list images: filters: parse error: \[bad >\|=\|< ==\]: unsupported operator "==="\n/,
  );
});

test('run: pull hands its flags on', async () => {
  const { seen, code } = await go(
    'pull alpine --platform linux/arm64 --platform linux/amd64 --label a=b=c --label d --snapshotter native --codec portable --max-concurrent-downloads 3 --all-metadata --max-layer-size 2G --max-layer-ratio 0',
  );
  assert.equal(code, 0);
  const options = seen.pull;
  assert.equal(options?.reference.name, 'docker.io/library/alpine:latest');
  assert.deepEqual(options?.labels, { a: 'b=c', d: 'true' });
  assert.equal(options?.snapshotter, 'native');
  assert.equal(options?.layerSettings?.codec, 'portable');
  assert.deepEqual(options?.layerSettings?.limits, { maxBytes: 2 ** 31, maxRatio: 0 });
  assert.equal(options?.maxConcurrentDownloads, 3);
  assert.equal(options?.allMetadata, true);
  assert.equal(options?.platforms?.length, 2);
  assert.equal((await go('pull alpine --all-platforms')).seen.pull?.platforms, 'all');
  assert.equal((await go('pull alpine')).seen.pull?.platforms, undefined);
  assert.equal((await go('pull alpine')).seen.registry?.foreignUrls, false);
  assert.equal((await go('pull alpine --foreign-urls')).seen.registry?.foreignUrls, true);
  assert.equal((await go('fetch alpine --metadata-only')).seen.pull?.metadataOnly, true);
});

test('run: sizes of layers', async () => {
  const limits = async (size: string) =>
    (await go(`pull alpine --max-layer-size=${size}`)).seen.pull?.layerSettings?.limits;
  assert.deepEqual((await go('pull alpine')).seen.pull?.layerSettings?.limits, {});
  assert.deepEqual(await limits('0'), { maxBytes: Number.MAX_SAFE_INTEGER });
  for (const [text, bytes] of [
    ['5', 5],
    ['1k', 1024],
    ['3MiB', 3 * 2 ** 20],
    ['2TB', 2 ** 41],
    ['1.5G', 3 * 2 ** 29],
  ] as const) {
    assert.deepEqual(await limits(text), { maxBytes: bytes });
  }
  for (const text of ['-1', 'x', '9999999T', '1P']) {
    const { code, err } = await go(`pull alpine --max-layer-size=${text}`);
    assert.equal(code, 2);
    assert.match(err, /invalid size .*\nhint: A size looks like/);
  }
});

test('run: a platform with a comma is one bad platform', async () => {
  const { code, err } = await go('pull alpine --platform linux/amd64,linux/arm/v7');
  assert.equal(code, 1);
  assert.match(err, /linux\/amd64,linux\/arm\/v7/);
});

function credentialsOf(seen: Seen): Credentials {
  return (seen.registry?.credentials as Credentials | undefined) ?? assert.fail('no credentials were given');
}

async function credentialFor(line: string, host: string, opts: FakeOptions = {}) {
  const { seen, err, code } = await go(line, opts);
  assert.equal(code, 0, err);
  return await credentialsOf(seen)(host, 'a', {});
}

test('run: credentials are split at the first colon and go to the own host only', async () => {
  const pull = 'pull reg.example:5000/a:b';
  assert.deepEqual(await credentialFor(`${pull} -u me:se:cret`, 'reg.example:5000'), {
    source: '--user',
    username: 'me',
    secret: 'se:cret',
  });
  assert.equal(await credentialFor(`${pull} -u me:secret`, 'mirror.example'), undefined);
  assert.equal(await credentialFor(`${pull} -u me:secret`, 'reg.example'), undefined);
  assert.deepEqual(await credentialFor('pull alpine -u a:b', 'registry-1.docker.io'), {
    source: '--user',
    username: 'a',
    secret: 'b',
  });
  assert.deepEqual(await credentialFor(`${pull} --refresh tok`, 'reg.example:5000'), {
    source: '--refresh',
    refreshToken: 'tok',
  });
  assert.deepEqual(await credentialFor(`${pull} -u a:b --refresh tok`, 'reg.example:5000'), {
    source: '--user',
    username: 'a',
    secret: 'b',
  });
  assert.equal(await credentialFor(pull, 'reg.example:5000'), undefined);
});

test('run: without --user, and for mirrors, the credentials are those that Docker and podman keep', async () => {
  const env = { HOME: '/h' };
  const text = JSON.stringify({
    auths: { 'reg.example': { auth: btoa('d:k') }, mirror: { auth: btoa('m:k') } },
  });
  const opts = { env, files: { '/h/.docker/config.json': text } };
  const stored = { source: '/h/.docker/config.json', username: 'd', secret: 'k' };
  assert.deepEqual(await credentialFor('pull reg.example/a:b', 'reg.example', opts), stored);
  const given = 'pull reg.example/a:b -u me:pw';
  assert.deepEqual(await credentialFor(given, 'mirror', opts), { ...stored, username: 'm' });
  const own = await credentialFor(given, 'reg.example', opts);
  assert.deepEqual(own, { source: '--user', username: 'me', secret: 'pw' });
});

test('run: a missing password is asked for without echo, on standard error', async () => {
  const { seen, out, err, silent } = await go('pull reg.example/a:b -u me --progress none', {
    stdinIsTerminal: true,
    stdinLines: ['pw'],
  });
  assert.equal(err, 'Password: \n');
  assert.equal(out, '');
  assert.deepEqual(silent, [true]);
  assert.deepEqual(await credentialsOf(seen)('reg.example', 'a', {}), {
    source: '--user',
    username: 'me',
    secret: 'pw',
  });
});

test('run: without a terminal the password comes from --password-stdin, or there is a clear error', async () => {
  const line = 'pull reg.example/a:b -u me';
  const { code, err } = await go(line);
  assert.equal(code, 1);
  assert.match(err, /standard input is no terminal\nhint: .*--password-stdin/);
  const given = await go(`${line} --password-stdin`, { stdinLines: ['pw'] });
  assert.deepEqual(await credentialsOf(given.seen)('reg.example', 'a', {}), {
    source: '--user',
    username: 'me',
    secret: 'pw',
  });
  assert.equal((await go('pull a --password-stdin')).code, 2);
  assert.match((await go(`${line} --password-stdin`, { stdinLines: [''] })).err, /empty password/);
});

test('run: certificates are read, and checked as far as ctr does', async () => {
  const files = { '/ca.pem': '-----BEGIN CERTIFICATE-----', '/bad.pem': 'x', '/c': 'C', '/k': 'K' };
  const { seen } = await go('pull a -k --tlscacert /ca.pem --tlscert /c --tlskey /k --plain-http', { files });
  assert.deepEqual(seen.registry?.tls, { ca: files['/ca.pem'], cert: 'C', key: 'K', skipVerify: true });
  assert.equal(seen.registry?.plainHttp, true);
  assert.match(
    (await go('pull a --tlscacert /bad.pem', { files })).err,
    /failed to load TLS CAs from "\/bad.pem": invalid data/,
  );
  assert.match((await go('pull a --tlscacert /no', { files })).err, /failed to read "\/no"/);
  const relative = await go('pull a --tlscacert ca.pem', {
    files: { '/w/ca.pem': files['/ca.pem'] },
    cwd: '/w',
  });
  assert.equal((relative.seen.registry?.tls as { ca?: string } | undefined)?.ca, files['/ca.pem']);
});

const events = async (options: PullOptions) => {
  const { name } = options.reference;
  options.report?.({ type: 'resolving', name });
  options.report?.({ type: 'resolved', name, root: target });
  options.report?.({ type: 'blob', key: `layer-${digest}`, desc: layer, status: 'downloading', offset: 0 });
  options.report?.({ type: 'blob', key: `layer-${digest}`, desc: layer, status: 'done', offset: 100 });
  options.report?.({ type: 'warning', message: 'odd\u001b[2J' });
  options.report?.({ type: 'unpacking', platform: 'linux/amd64', target: digest });
  options.report?.({ type: 'unpacked', platform: 'linux/amd64', chainId: 'sha256:c' });
};

test('run: plain progress ends with the duration and a summary', async () => {
  const { out, err } = await go('pull reg.example/a:b --print-chainid', {}, events);
  assert.deepEqual(out.split('\n'), [
    `reg.example/a:b: resolved ${digest}`,
    `layer-${digest}: done 100.0 B`,
    `unpacking linux/amd64 ${digest}...`,
    'image chain ID: sha256:c',
    'done: 0s\t',
    `reg.example/a:b ${digest}: 100 bytes in 0.00 s`,
    '',
  ]);
  assert.equal(err, 'warning: odd\\x1b[2J\n');
});

test('run: JSON progress is nothing but JSON, errors included', async () => {
  const good = await go('pull reg.example/a:b --progress json --print-chainid', {}, events);
  const lines = good.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.ok(lines.every((line) => line.v === 1));
  assert.deepEqual(lines.at(-1), {
    v: 1,
    type: 'done',
    name: 'reg.example/a:b',
    digest,
    bytes: 100,
    seconds: 0,
  });
  const bad = await go('pull reg.example/a:b --progress json', {}, async () => {
    throw new HawserError('NotFound', 'gone', { hint: 'look' });
  });
  assert.deepEqual(JSON.parse(bad.out), {
    v: 1,
    type: 'error',
    kind: 'NotFound',
    message: 'gone',
    hint: 'look',
  });
  assert.equal(bad.code, 1);
});

test('run: no progress prints nothing but what was asked for', async () => {
  assert.equal((await go('pull reg.example/a:b --progress none', {}, events)).out, '');
  assert.equal(
    (await go('pull reg.example/a:b --progress none --print-chainid', {}, events)).out,
    'image chain ID: sha256:c\n',
  );
});

test('run: on a terminal the table is drawn, coloured unless NO_COLOR says no', async () => {
  const coloured = await go('pull reg.example/a:b', { columns: 200 }, events);
  assert.match(coloured.out, /\u001b\[32m/);
  assert.equal(coloured.err, 'warning: odd\\x1b[2J\n');
  const plain = await go('pull reg.example/a:b', { columns: 200, env: { NO_COLOR: '1' } }, events);
  assert.doesNotMatch(plain.out, /\u001b\[32m/);
  assert.match(plain.out, /^reg\.example\/a:b: +resolved/);
  assert.match(plain.out, /done: 0s\t\n.* 100 bytes in 0\.00 s\n$/);
  const dumb = await go('pull reg.example/a:b', { columns: 200, env: { TERM: 'dumb' } }, events);
  assert.match(dumb.out, /^reg\.example\/a:b: resolved sha256/);
});

test('run: the table is redrawn in place', async () => {
  const fake = fakeRuntime({ columns: 200 });
  const { services: given } = services(async (options) => {
    await events(options);
    fake.wake();
    await new Promise((resolve) => setImmediate(resolve));
  });
  await run(fake.runtime, ['pull', 'reg.example/a:b'], given);
  const [first = '', second = ''] = fake.out().split('\u001b[5A\r');
  assert.equal(first.split('\n').length - 1, 5);
  assert.ok(second.startsWith('reg.example/a:b:'));
});

test('images prune: an image that changed or was leased meanwhile is told', async () => {
  const image = { name: 'r.test/a:1', target, labels: {}, createdAt: 0, updatedAt: 0 };
  const backend = {
    lostIndexes: [],
    namespace: 'default',
    snapshotterNames: [],
    leases: { list: async () => [] },
    images: { list: async () => [image], deleteUnchanged: async () => [] },
    survey: async () => ({ namespaces: [] }),
    collect: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  const given = { backends: { local: async () => backend } } as unknown as Services;
  const fake = fakeRuntime({});
  assert.equal(await run(fake.runtime, ['images', 'prune', '--all'], given), 0);
  assert.deepEqual(
    [fake.out(), fake.err()],
    ['', 'image r.test/a:1 stays: it was changed or leased meanwhile\n'],
  );
});
