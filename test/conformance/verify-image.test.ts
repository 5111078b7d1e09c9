/** `hawser verify`: what a pull would say, and nothing stored; as an image verifier of containerd, too. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { main } from '../../src/cli/main.ts';
import { HawserError } from '../../src/core/errors.ts';
import type { Descriptor } from '../../src/core/oci/descriptor.ts';
import type { Syscalls } from '../../src/core/ports/syscalls.ts';
import { parseReference } from '../../src/core/reference/parse.ts';
import type { Runtime } from '../../src/core/runtime.ts';
import { OWN_POLICY } from '../../src/core/trust/choose-policy.ts';
import { defaultRuntime } from '../../src/entry/library.ts';
import { withClient } from '../registry/client.ts';
import { buildImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { collector, type RanHere, runHere } from '../support/command-line.ts';
import { tempDir } from '../support/tmp.ts';
import { realKey, serveRealImages } from '../support/trust-fixtures.ts';

const dir = tempDir('hawser-verify-');
const root = join(dir.path, 'root');
const hosts = join(dir.path, 'hosts');
const NAME = 'registry.test/real/cosign3:1';
let registry: TestRegistry;
let runtime: Runtime;
let image: Descriptor;

before(async () => {
  registry = await startRegistry();
  serveRealImages(registry);
  runtime = await defaultRuntime();
  mkdirSync(join(hosts, 'registry.test'), { recursive: true });
  writeFileSync(join(hosts, 'registry.test/hosts.toml'), `server = "http://${registry.host}"\n`);
  image = await withClient({}, async (client) => {
    const reference = parseReference(`${registry.host}/real/cosign3:1`);
    return (await client.resolve(reference)).root;
  });
});
after(async () => {
  await registry.close();
  dir[Symbol.dispose]();
});

const verify = (...args: string[]): Promise<RanHere> =>
  runHere(runtime, root, ['verify', '--hosts-dir', hosts, ...args]);

const script = (name: string, text: string): string => {
  const path = join(dir.path, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return path;
};

test('verify: a key that has signed, another, a program, and nobody to ask; nothing is stored', async () => {
  for (const name of ['cosign2', 'cosign3', 'cosign3-attachment']) {
    const ref = `registry.test/real/${name}:1`;
    const good = await verify('--verify-key', realKey('signer.pub'), ref);
    assert.equal(good.code, 0, good.err);
    assert.match(good.out, /^registry\.test\/real\/\S+: verified sha256:\w+: key SHA256:\S+ \(/);
    const bad = await verify('--verify-key', realKey('other.pub'), ref);
    assert.equal(bad.code, 1);
    assert.match(bad.err, /is by another key/);
    assert.equal(bad.out, '');
  }
  const json = await verify('--json', '--verify-key', realKey('signer.pub'), NAME);
  const { type, name, digest, verified } = JSON.parse(json.out);
  assert.deepEqual([type, name, digest, verified.length], ['judged', NAME, image.digest, 1]);
  const program = await verify(
    '--verifier',
    script('no', 'echo not today; exit 1'),
    '--policy',
    'none',
    NAME,
  );
  assert.equal(program.code, 1);
  assert.match(program.err, /refused: not today/);
  const nobody = await verify('--policy', 'none', NAME);
  assert.equal(nobody.code, 1);
  assert.match(nobody.err, /Nobody is there to ask/);
  assert.ok(!existsSync(root));
});

test('verify: a policy that asks for no signature of an image lets the image in, and says so', async () => {
  const policy = policyFile({ type: 'insecureAcceptAnything' });
  const { code, out } = await verify('--policy', policy, NAME);
  assert.deepEqual([code, out], [0, `${NAME}: ${image.digest} may come in, and nobody vouches for it\n`]);
  assert.equal((await verify('--policy', policy, '--require-signed', NAME)).code, 1);
});

function policyFile(requirement: object): string {
  const path = join(dir.path, 'policy.json');
  writeFileSync(path, JSON.stringify({ default: [requirement] }));
  return path;
}

/** As containerd runs a program. */
async function asVerifier(
  args: readonly string[],
  line: string,
  /** The file that stands for /etc/hawser/policy.json. */
  policy?: string,
  {
    environment = {},
    settings,
  }: { readonly environment?: Readonly<Record<string, string>>; readonly settings?: string } = {},
): Promise<RanHere> {
  const [stdout, stderr] = [collector(), collector()];
  const onInterrupt = (): Disposable => ({ [Symbol.dispose]: () => {} });
  const env = (name: string) => environment[name];
  const host = { ...runtime.host, stdout, stderr, onInterrupt, env, readLine: async () => line };
  const readFile: Runtime['fs']['readFile'] = async (path, limit, call) => {
    const own: Readonly<Record<string, string | undefined>> = {
      [OWN_POLICY]: policy,
      '/etc/hawser/hawser.toml': settings,
    };
    const found = path in own ? own[path] : path;
    if (found === undefined) throw new HawserError('NotFound', `${path}: not found`);
    return await runtime.fs.readFile(found, limit, call);
  };
  const fs = new Proxy(runtime.fs, {
    get: (target, key) => {
      const value = key === 'readFile' ? readFile : Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const code = await main({ ...runtime, host, fs, syscalls: async () => ROOTS }, args);
  return { code, out: stdout.text(), err: stderr.text(), bytes: stdout.bytes() };
}

/** A machine where every file is root's, in root's directories. */
const ROOTS = {
  openRoot: () => ({}),
  openDir: () => ({}),
  closeDir: () => {},
  fstat: () => ({ mode: 0o040755, uid: 0, gid: 0 }),
  lstat: () => ({ mode: 0o100644, uid: 0, gid: 0 }),
} as unknown as Syscalls;

const TYPE = 'application/vnd.oci.descriptor.v1+json';

test('verify: as an image verifier, hawser answers by its policy, on standard output and by the exit status', async () => {
  const name = `${registry.host}/real/cosign3:1`;
  const args = ['-name', name, '-digest', image.digest, '-stdin-media-type', TYPE];
  const line = JSON.stringify({ mediaType: image.mediaType, digest: image.digest, size: image.size });
  const good = policyFile({ type: 'sigstore', keyPath: realKey('signer.pub') });
  const yes = await asVerifier(args, line, good);
  assert.equal(yes.code, 0, yes.err);
  assert.match(yes.out, /: verified sha256:\w+: key SHA256:/);
  const other = policyFile({ type: 'sigstore', keyPath: realKey('other.pub') });
  const no = await asVerifier(args, line, other);
  assert.equal(no.code, 1);
  assert.match(no.out, /is by another key/);
  assert.match((await asVerifier(args, line)).out, /Nobody is there to ask/);
  assert.equal((await asVerifier(args, line, policyFile({ type: 'insecureAcceptAnything' }))).code, 0);
});

test('verify: as an image verifier, no settings, no variable and no other program has a say in who may come in', async () => {
  const args = [
    '-name',
    `${registry.host}/real/cosign3:1`,
    '-digest',
    image.digest,
    '-stdin-media-type',
    TYPE,
  ];
  const line = JSON.stringify({ mediaType: image.mediaType, digest: image.digest, size: image.size });
  const settings = join(dir.path, 'hawser.toml');
  const ran = join(dir.path, 'ran');
  const program = script('asks', `touch ${ran}; exit 0`);
  for (const text of [`[policies]\nverifier = ["${program}"]\n`, '[policies]\npolicy = "none"\n']) {
    writeFileSync(settings, text);
    const refuses = policyFile({ type: 'reject' });
    const no = await asVerifier(args, line, refuses, { settings, environment: { HAWSER_POLICY: 'none' } });
    assert.equal(no.code, 1);
    assert.match(no.out, /the policy rejects it/);
    assert.match((await asVerifier(args, line, undefined, { settings })).out, /Nobody is there to ask/);
    const yes = await asVerifier(args, line, policyFile({ type: 'insecureAcceptAnything' }), { settings });
    assert.equal(yes.code, 0, yes.out);
  }
  assert.ok(!existsSync(ran));
});

test('verify: as an image verifier, the settings of the system say how registries are asked, the user’s do not', async () => {
  const args = ['-name', NAME, '-digest', image.digest, '-stdin-media-type', TYPE];
  const line = JSON.stringify({ mediaType: image.mediaType, digest: image.digest, size: image.size });
  const policy = policyFile({ type: 'sigstore', keyPath: realKey('signer.pub') });
  const settings = join(dir.path, 'hawser.toml');
  // Only the hosts directory leads from the name to the registry.
  writeFileSync(settings, `hosts-dir = "${hosts}"\n[limits]\nretry-time = "1s"\n`);
  mkdirSync(join(dir.path, '.config/hawser'), { recursive: true });
  writeFileSync(join(dir.path, '.config/hawser/hawser.toml'), 'nonsense = 1\n');
  const environment = { HOME: dir.path };
  const yes = await asVerifier(args, line, policy, { settings, environment });
  assert.equal(yes.code, 0, yes.out);
  assert.match(yes.out, /: verified sha256:/);
  const other = policyFile({ type: 'sigstore', keyPath: realKey('other.pub') });
  assert.match((await asVerifier(args, line, other, { settings, environment })).out, /is by another key/);
  for (const [text, told] of [
    ['nonsense = 1\n', /^nonsense \(line 1 of \/etc\/hawser\/hawser\.toml\) is no setting of hawser\n/],
    [`hosts-dir = "${hosts}"\n[policies]\nreach = "nowhere"\n`, /reach/],
  ] as const) {
    writeFileSync(settings, text);
    const no = await asVerifier(args, line, policyFile({ type: 'insecureAcceptAnything' }), { settings });
    assert.notEqual(no.code, 0, text);
    assert.match(no.out, told);
  }
});

test('verify: as an image verifier, every image of an index that is not signed must be, since containerd chooses', async () => {
  const other = await buildImage({ layers: [] });
  const repository = 'real/cosign3';
  registry.push(repository, 'other', other);
  const reference = parseReference(`${registry.host}/${repository}:1`);
  const { root: signed } = await withClient({}, (client) => client.resolve(reference));
  const beside = { ...other.root, bytes: undefined, size: other.root.bytes.length };
  const policy = policyFile({ type: 'sigstore', keyPath: realKey('signer.pub') });
  for (const [platform, code] of [
    [{ os: 'linux', architecture: 'riscv64' }, 1],
    [{ os: 'windows', architecture: 'amd64' }, 1],
    [undefined, 1],
    [{ os: 'unknown', architecture: 'unknown' }, 0],
  ] as const) {
    const { mediaType, digest, size } = signed;
    const good = { mediaType, digest, size, platform: { os: 'linux', architecture: 'amd64' } };
    const type = 'application/vnd.oci.image.index.v1+json';
    const list = { schemaVersion: 2, mediaType: type, manifests: [good, { ...beside, platform }] };
    const bytes = new TextEncoder().encode(JSON.stringify(list));
    const name = registry.putManifest(repository, 'mixed', type, bytes);
    const args = [
      '-name',
      `${registry.host}/${repository}:mixed`,
      '-digest',
      name,
      '-stdin-media-type',
      TYPE,
    ];
    const line = JSON.stringify({ mediaType: type, digest: name, size: bytes.length });
    const answer = await asVerifier(args, line, policy);
    assert.equal(answer.code, code, `${JSON.stringify(platform)} ${answer.out}`);
  }
});

test('verify: as an image verifier, what containerd does not say keeps the image out', async () => {
  const name = `${registry.host}/real/cosign3:1`;
  const policy = policyFile({ type: 'insecureAcceptAnything' });
  const good = { mediaType: image.mediaType, digest: image.digest, size: image.size };
  const digest = `sha256:${'0'.repeat(64)}`;
  const whole = ['-name', name, '-digest', image.digest, '-stdin-media-type', TYPE];
  for (const [args, line, message] of [
    [whole, JSON.stringify({ ...good, digest }), /is of sha256:0+, not of/],
    [whole, '', /descriptor on standard input/],
    [whole, '{}', /descriptor on standard input/],
    [whole, `${JSON.stringify(good)} {}`, /descriptor on standard input/],
    [['-name', name, '-digest', image.digest], JSON.stringify(good), /gets -name, -digest and/],
    [[...whole.slice(0, 5), 'application/json'], JSON.stringify(good), /gets -name, -digest and/],
    [['-name', 'No Name', ...whole.slice(2)], JSON.stringify(good), /No Name/],
  ] as const) {
    const { code, out } = await asVerifier(args, line, policy);
    assert.notEqual(code, 0, line);
    assert.match(out, message);
  }
});
