/** Programs that decide on images: the contract of containerd's image verifiers, and everything else is a refusal. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, beforeEach, test } from 'node:test';
import { hintOf, isKind } from '../../../src/core/errors.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { gateOf, passGate } from '../../../src/core/verbs/gate.ts';
import { verifierJudge } from '../../../src/core/verifiers/verifier-judge.ts';
import { NODE_VERIFIERS, type Verifiers, verifiersAt } from '../../../src/core/verifiers/verifiers.ts';
import { createPrograms } from '../../../src/platform/process/programs.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { failure } from '../../support/failure.ts';
import { needs } from '../../support/needs.ts';
import { waitForEnd } from '../../support/processes.ts';
import { digestOf } from '../../support/stores.ts';
import { tempDir } from '../../support/tmp.ts';

const root: Descriptor = {
  mediaType: 'application/vnd.oci.image.index.v1+json',
  digest: digestOf(new Uint8Array(3)),
  size: 3,
  annotations: { 'not.for': 'verifiers' },
};
const subject = { reference: parseReference('alpine:3'), root };
/** Programs look for signatures themselves. */
const unread = async (): Promise<never> => {
  throw new Error('nobody looks here');
};
const evidence = { tagged: unread, referrers: unread, read: unread };
const NAME = 'docker.io/library/alpine:3';
const runtime = { ...bareRuntime(), programs: createPrograms() };
const top = tempDir('hawser-verifiers-');
const bin = join(top.path, 'bin');
const pidFile = join(top.path, 'pid');
after(() => top[Symbol.dispose]());
beforeEach(() => {
  rmSync(bin, { recursive: true, force: true });
  rmSync(pidFile, { force: true });
  mkdirSync(bin);
});

function install(programs: Readonly<Record<string, string>>, dir = bin): void {
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(dir, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(dir, name), 0o755);
  }
}

/** Those of a directory, as a node's. */
const inBin: Verifiers = { ...NODE_VERIFIERS, path: bin };
const judge = (verifiers: Verifiers, signal?: AbortSignal) =>
  verifierJudge(runtime, async () => verifiers).judge(subject, { signal });

test('HA20: verifiers: each gets name, digest and descriptor, by the order of the names; all must accept', async () => {
  const log = join(top.path, 'log');
  const say = `{ echo "$0" "$@"; cat; } >> ${log}`;
  install({
    b: say,
    '.a': `${say}; head -c 40000 /dev/zero`,
    c: `${say}; printf '\\377\\033[1m"} nonsense'`,
  });
  const verdict = await judge(inBin);
  const args = `-name ${NAME} -digest ${root.digest} -stdin-media-type application/vnd.oci.descriptor.v1+json`;
  const { mediaType, digest, size } = root;
  const programs = ['.a', 'b', 'c'].map((name) => `${bin}/${name}`);
  const lines = programs.map((path) => `${path} ${args}\n${JSON.stringify({ mediaType, digest, size })}\n`);
  assert.equal(readFileSync(log, 'utf8'), lines.join(''));
  const vouchers = programs.map((signer) => ({ by: 'verifier', digest, signer }));
  assert.deepEqual(verdict, { accepted: true, by: `image verifiers in ${bin}`, vouchers });
});

test('verifiers: they know where programs, files and proxies are, and nothing else of this process', async () => {
  const secret = 'HAWSER_POLICY';
  process.env[secret] = 'x';
  try {
    install({ a: `pwd > ${top.path}/env; env >> ${top.path}/env` });
    await judge(inBin);
    const [cwd, ...variables] = readFileSync(join(top.path, 'env'), 'utf8').trim().split('\n');
    assert.equal(cwd, '/');
    const names = variables.map((line) => line.replace(/=.*/s, ''));
    assert.ok(names.includes('PATH') && !names.includes(secret), names.join());
  } finally {
    delete process.env[secret];
  }
});

test('verifiers: a node without programs accepts every image; where a user names none, that is an error', async () => {
  const none = join(top.path, 'none');
  for (const path of [bin, none]) {
    assert.deepEqual(await judge({ ...inBin, path }), {
      accepted: true,
      by: `image verifiers in ${path}`,
      vouchers: [],
    });
    const err = await failure(judge(verifiersAt(path)));
    assert.ok(isKind(err, 'FailedPrecondition'), String(err));
    assert.match(err.message, /There is no image verifier/);
  }
});

test('HA20: verifiers: more programs than there may be are an error, where containerd leaves some out', async () => {
  install({ a: 'true', b: 'true', c: 'true' });
  assert.equal((await judge({ ...inBin, most: 3 })).accepted, true);
  assert.equal((await judge({ ...inBin, most: -1 })).accepted, true);
  for (const most of [2, 0])
    assert.match(
      (await failure(judge({ ...inBin, most }))).message,
      new RegExp(`3 files, .* ${most} at most`),
    );
  for (const [mayLack, hint] of [
    [true, /max_verifiers in the configuration of containerd/],
    [false, /: --verifier FILE$/],
  ] as const) {
    const told = hintOf(await failure(judge({ ...inBin, most: 2, mayLack }))) ?? '';
    assert.match(told, hint);
    assert.equal(/containerd/.test(told), mayLack, 'a directory that the user names is not of containerd');
  }
});

test('verifiers: a single program, and several places at once', async () => {
  install({ yes: 'true', no: 'echo never; exit 1' });
  const gate = (...paths: string[]) =>
    passGate(
      { backend: {} },
      gateOf(runtime, { policy: 'none', verifiers: paths }),
      { ...subject, platforms: [], evidence },
      {},
    );
  const [accepted] = await gate(`${bin}/yes`);
  assert.equal(accepted?.by, `image verifiers in ${bin}/yes`);
  assert.deepEqual(await gate('none'), []);
  for (const paths of [[bin], [`${bin}/yes`, `${bin}/no`], ['none', `${bin}/no`]]) {
    const err = await failure(gate(...paths));
    assert.ok(isKind(err, 'PermissionDenied'), String(err));
    assert.equal(err.message, `${NAME} (${root.digest}): refused: never (image verifier ${bin}/no)`);
  }
});

const REFUSALS: readonly (readonly [string, string, string])[] = [
  ['says why', 'printf "by\\npolicy\\033[31m"; exit 3', 'by policy [31m'],
  ['says nothing', 'echo not this >&2; exit 7', 'exit status 7, without a reason'],
  [
    'names a secret',
    'echo "cannot ask https://u:p@reg.test/x?sig=1"; exit 1',
    'cannot ask https://reg.test/x?REDACTED',
  ],
  [
    'is not found by its interpreter',
    'exec /nowhere/verifier 2> /dev/null',
    'exit status 127, without a reason',
  ],
];

for (const [how, script, reason] of REFUSALS) {
  test(`verifiers: one that refuses and ${how}`, async () => {
    install({ accepts: 'true', it: script, later: `touch ${pidFile}` });
    const verdict = await judge(inBin);
    assert.equal(verdict.accepted, false);
    assert.equal('reason' in verdict && verdict.reason, `refused: ${reason}`);
    assert.throws(() => readFileSync(pidFile), 'nobody is asked after a refusal');
  });
}

const CHILD = `sleep 30 & echo $! > ${pidFile}`;

/** Whatever is no answer. `child`: the program has started another one, which must not outlive it. */
const SILENCES: readonly (readonly [string, string, RegExp, 'child'?])[] = [
  ['is killed', 'kill -9 $$', /a signal ended it/],
  ['hangs', 'exec sleep 20', /took over 0.7 s/],
  ['hangs with a child', `${CHILD}; wait`, /took over 0.7 s/, 'child'],
  ['accepts while a child keeps its output', `${CHILD}; exit 0`, /took over 0.7 s/, 'child'],
  ['refuses while a child keeps its output', `${CHILD}; exit 1`, /took over 0.7 s/, 'child'],
  ['floods standard output', 'exec cat /dev/zero', /wrote more than 1048576 bytes/],
  ['floods standard error', 'exec cat /dev/zero >&2', /wrote more than 1048576 bytes/],
  ['floods by a child', `cat /dev/zero & echo $! > ${pidFile}; wait`, /wrote more than/, 'child'],
  ['ignores signals', 'trap "" TERM INT HUP; while :; do :; done', /took over 0.7 s/],
];

for (const [how, script, message, child] of SILENCES) {
  test(`HA20: verifiers: one that ${how} keeps the image out`, async () => {
    install({ it: script });
    const timeLimit = message.source.startsWith('took over') ? 700 : 10_000;
    const err = await failure(judge({ ...inBin, timeLimit }));
    assert.ok(isKind(err, 'FailedPrecondition'), String(err));
    assert.match(err.message, new RegExp(`image verifier ${bin}/it gives no answer`));
    assert.match(err.message, message);
    if (child) await waitForEnd(Number(readFileSync(pidFile, 'utf8')));
  });
}

test('verifiers: an abort ends program and child', async () => {
  install({ it: `${CHILD}; wait` });
  const stop = new AbortController();
  const running = judge({ ...inBin, timeLimit: 20_000 }, stop.signal);
  const pid = await until(() => Number(readFileSync(pidFile, 'utf8')));
  stop.abort();
  assert.ok(isKind(await failure(running), 'Canceled'));
  await waitForEnd(pid);
});

async function until(read: () => number): Promise<number> {
  for (;;) {
    try {
      const pid = read();
      if (pid > 0) return pid;
    } catch {
      // Not written yet.
    }
    await new Promise((done) => setTimeout(done, 10));
  }
}

const asRoot = needs({ root: true });

/** Files that are no programs of an owner. `skip`: why not here. */
const UNFIT: readonly (readonly [string, () => void, RegExp, (string | false)?])[] = [
  ['is not executable', () => chmodSync(join(bin, 'it'), 0o644), /it gives no answer: Cannot run/],
  ['is a directory', beDirectory, /it is no regular file|it is empty/],
  [
    'can be written to by all',
    () => chmodSync(join(bin, 'it'), 0o757),
    /it can be written to by other users/,
  ],
  ['is another user’s', () => chownSync(join(bin, 'it'), 65534, 65534), /it belongs to user 65534/, asRoot],
  [
    'is in a directory that all can write to',
    () => chmodSync(bin, 0o777),
    /bin can be written to by other users|a directory that other users can write to/,
  ],
  [
    'is in another user’s directory',
    () => chownSync(bin, 65534, 65534),
    /goes through a directory of user 65534/,
    asRoot,
  ],
  ['is a symlink to nothing', () => link('/nowhere/it'), /it does not exist/],
  ['is a symlink to itself', () => link('it'), /too many symlinks|ELOOP/],
  [
    'is a symlink to a file that all can write to',
    () => {
      install({ other: 'true' }, top.path);
      chmodSync(join(top.path, 'other'), 0o777);
      link('../other');
    },
    /it can be written to by other users/,
  ],
  ['is text without an interpreter', () => writeFileSync(join(bin, 'it'), '\u007fELF'), /it gives no answer/],
];

function beDirectory(): void {
  rmSync(join(bin, 'it'));
  mkdirSync(join(bin, 'it'));
}

function link(to: string): void {
  rmSync(join(bin, 'it'));
  symlinkSync(to, join(bin, 'it'));
}

for (const [how, spoil, message, skip] of UNFIT) {
  test(`HA20: verifiers: one that ${how} keeps the image out`, { skip }, async () => {
    for (const verifiers of [inBin, verifiersAt(join(bin, 'it'))]) {
      rmSync(bin, { recursive: true, force: true });
      mkdirSync(bin);
      install({ it: 'true' });
      assert.equal((await judge(verifiers)).accepted, true);
      spoil();
      const err = await failure(judge(verifiers));
      assert.ok(isKind(err, 'FailedPrecondition'), String(err));
      assert.match(err.message, message);
    }
  });
}

test('verifiers: a symlink of an owner to a program of an owner is one', async () => {
  install({ real: 'echo refused; exit 1' }, top.path);
  symlinkSync('../real', join(bin, 'link'));
  const verdict = await judge(inBin);
  assert.equal(verdict.accepted, false);
});
