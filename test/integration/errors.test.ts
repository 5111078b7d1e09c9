/**
 * What a user meets when something is wrong: exit status 1 (130 for Ctrl-C), one line that says what failed, one that says
 * what to do, and nothing half done left behind. Every way to run hawser: network and system errors look different in each.
 */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { type ExecOptions, type ExecResult, exec, execOk, describe as explain } from '../support/exec.ts';
import { halfDone } from '../support/half-done.ts';
import { eachRuntime, type Flavour, hawser } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { asNobody, NOBODY } from '../support/nobody.ts';
import { freePort } from '../support/processes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import {
  type Lies,
  type StaticRegistry,
  serveImage,
  startStaticRegistry,
  tarOf,
} from '../support/static-registry.ts';

const TOOLS = ['openssl', 'setpriv', 'unshare', 'mount', 'umount'];

/** What a row may use. */
interface Scene {
  readonly registry: StaticRegistry;
  readonly tls: StaticRegistry;
}

interface Row {
  readonly name: string;
  /** What the message must name. */
  readonly says: RegExp;
  readonly lies?: Lies;
  /** Prepares, and gives the arguments; not given: pull `x:1` of the registry. */
  readonly args?: (scene: Scene) => readonly string[] | Promise<readonly string[]>;
  /** Mounts this as the store's root first. */
  readonly rootMount?: string;
  /** In the end not one byte can be written to it. */
  readonly fills?: boolean;
  /** Runs as nobody. */
  readonly nobody?: boolean;
  /** Runs where TLS_NAME is an address of this machine: a loopback address would be spoken to without TLS. */
  readonly named?: boolean;
  /** The store cannot be looked at afterwards. */
  readonly noStore?: boolean;
}

const MIB = 1 << 20;
const TLS_NAME = 'registry.test';

const ROWS: readonly Row[] = [
  {
    name: 'bootstrap with what is not there',
    says: /Cannot read \/nowhere\/bundle\.tar/,
    args: () => ['bootstrap', '/nowhere/bundle.tar'],
    noStore: true,
  },
  {
    name: 'malformed reference',
    says: /reference.*"?127\.0\.0\.1:5000\/\/BAD"?/,
    args: () => pull('127.0.0.1:5000//BAD::'),
  },
  { name: 'unknown host', says: /no-such-host\.invalid/, args: () => pull('no-such-host.invalid/x:1') },
  {
    name: 'refused connection',
    says: /refused/,
    args: async () => pull(`127.0.0.1:${await freePort()}/x:1`),
  },
  {
    name: 'TLS failure',
    says: /certificate|TLS/i,
    args: ({ tls }) => pull(`${TLS_NAME}${tls.host.replace(/.*:/, ':')}/x:1`),
    named: true,
  },
  { name: '401', says: /401|unauthorized|authenticat|credential/i, args: (scene) => always(scene, 401) },
  { name: '403', says: /403|forbidden|denied/i, args: (scene) => always(scene, 403) },
  { name: '404', says: /x:missing.*not found/, args: ({ registry }) => pull(`${registry.host}/x:missing`) },
  {
    name: 'no manifest for the platform',
    says: /platform.*linux\/amd64/,
    lies: { onlyArchitecture: 's390x' },
  },
  {
    name: 'corrupt blob',
    says: /sha256:[0-9a-f]{64}/,
    lies: { served: (layer) => ({ body: flipped(layer) }) },
  },
  { name: 'blob longer than its size', says: /size|bytes|long/, lies: { sizeOff: -1 } },
  { name: 'blob shorter than its size', says: /size|bytes|short/, lies: { sizeOff: 1 } },
  { name: 'wrong diff ID', says: /diff ID.*sha256:0{64}/i, lies: { diffId: `sha256:${'0'.repeat(64)}` } },
  {
    name: 'truncated gzip',
    says: /gzip|truncated|unexpected end/i,
    lies: { layer: (gzip) => gzip.subarray(0, -2000) },
  },
  { name: 'not gzip at all', says: /gzip|tar/i, lies: { layer: () => Buffer.alloc(5000, 'x') } },
  { name: 'truncated tar', says: /tar|truncated|unexpected end/i, args: truncatedTar },
  {
    name: 'disk full while downloading',
    says: /no space|ENOSPC|disk.*full/i,
    args: async (scene) => [...(await big(scene)), '--force'],
    rootMount: 'size=7m',
    fills: true,
  },
  { name: 'larger than the disk', says: /6 MiB.* 2 MiB/, args: big, rootMount: 'size=2m' },
  {
    name: 'disk full while unpacking',
    says: /no space|ENOSPC|disk.*full/i,
    args: zeros,
    rootMount: 'size=8m',
  },
  { name: 'not root', says: /overlayfs|root|privilege|permi/i, lies: {}, nobody: true },
  { name: 'root directory not writable', says: /store/, lies: {}, rootMount: 'ro', noStore: true },
];

const skip = needs({ root: true, tools: TOOLS });

for (const which of eachRuntime) {
  describe(`errors: ${which.name}`, { skip: skip || which.skip }, () => {
    let temp: Scratch;
    let registry: StaticRegistry;
    let tls: StaticRegistry;

    before(async () => {
      temp = scratch();
      registry = await startStaticRegistry();
      tls = await startStaticRegistry(await selfSigned(temp.path));
    });
    after(async () => {
      await registry[Symbol.asyncDispose]();
      await tls[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    });

    for (const row of ROWS) {
      test(row.name, async () => {
        await using dir = scratch();
        registry.answers.clear();
        registry.always = undefined;
        if (row.lies !== undefined) await serveImage(registry, row.lies);
        const scene = { registry, tls };
        const args = (await row.args?.(scene)) ?? pull(`${registry.host}/x:1`);
        if (row.rootMount !== undefined) {
          await execOk('mount', ['-t', 'tmpfs', '-o', `mode=0700,${row.rootMount}`, 'hawser-test', dir.path]);
        }
        const run = row.nobody ? withoutRoot : row.named ? withName : asRoot;
        const result = await run(which, dir.path, args);
        assertFailed(result, 1, row.says);
        if (row.noStore === true) return;
        // A disk without room for a byte has none to say that a layer begun is gone: the next opening does, given room.
        const left = halfDone(dir.path);
        if (row.fills === true && left.every((one) => one.startsWith('active snapshot extract-'))) {
          await execOk('mount', ['-o', 'remount,size=64m', dir.path]);
          assertFailed(await run(which, dir.path, args), 1, /gzip|tar|expand|diff id/i);
          assert.deepEqual(halfDone(dir.path), []);
        } else assert.deepEqual(left, []);
      });
    }

    test('Ctrl-C', async () => {
      await using dir = scratch();
      registry.answers.clear();
      registry.always = undefined;
      await serveImage(registry, { served: (layer) => ({ body: layer, hangAfter: 50_000 }) });
      const store = hawser(which, dir.path);
      const result = await store.run(pull(`${registry.host}/x:1`), interruptWhenDownloading(dir.path));
      assert.equal(result.code, 130, explain(result));
      assert.match(result.stderr, /^hawser: .*(cancel|interrupt)/im);
      assert.deepEqual(halfDone(dir.path), []);
    });
  });
}

function pull(image: string): readonly string[] {
  return ['images', 'pull', image];
}

function always({ registry }: Scene, status: number): readonly string[] {
  const headers = status === 401 ? { 'www-authenticate': 'Basic realm="test"' } : {};
  const errors = [{ code: status === 401 ? 'UNAUTHORIZED' : 'DENIED', message: 'not for you' }];
  registry.always = { status, headers, body: JSON.stringify({ errors }) };
  return pull(`${registry.host}/x:1`);
}

async function truncatedTar({ registry }: Scene): Promise<readonly string[]> {
  const tar = (await tarOf({ a: Buffer.alloc(5000, 'a'), b: Buffer.alloc(9000, 'b') })).subarray(0, 7000);
  await serveImage(registry, { tar });
  return pull(`${registry.host}/x:1`);
}

async function big({ registry }: Scene): Promise<readonly string[]> {
  await serveImage(registry, {
    tar: await tarOf({ big: Buffer.alloc(6 * MIB, 1) }),
    layer: () => Buffer.alloc(6 * MIB),
  });
  return pull(`${registry.host}/x:1`);
}

async function zeros({ registry }: Scene): Promise<readonly string[]> {
  await serveImage(registry, { tar: await tarOf({ zeros: Buffer.alloc(32 * MIB) }) });
  return pull(`${registry.host}/x:1`);
}

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const middle = copy.length >> 1;
  copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
}

async function selfSigned(dir: string): Promise<{ key: string; cert: string }> {
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  const subject = ['-subj', '/CN=hawser-test', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await execOk('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', cert]);
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}

function asRoot(which: Flavour, root: string, args: readonly string[]): Promise<ExecResult> {
  return hawser(which, root).run(args);
}

function withName(which: Flavour, root: string, args: readonly string[]): Promise<ExecResult> {
  const hosts = `${root}.hosts`;
  writeFileSync(hosts, `127.0.0.1 ${TLS_NAME}\n`);
  const script = 'mount --bind "$0" /etc/hosts && rm "$0" && exec "$@"';
  return exec('unshare', ['--mount', 'sh', '-c', script, hosts, ...which.command, '--root', root, ...args]);
}

function withoutRoot(which: Flavour, root: string, args: readonly string[]): Promise<ExecResult> {
  chownSync(root, NOBODY, NOBODY);
  chmodSync(root, 0o700);
  const env = { ...process.env, HOME: '/nonexistent', XDG_RUNTIME_DIR: '' };
  const [file, ...rest] = asNobody([...which.command, '--root', root, ...args]);
  return exec(file, rest, { env });
}

/** Sends SIGINT once the layer has begun to arrive. */
function interruptWhenDownloading(root: string): ExecOptions {
  return {
    started: (child) => {
      let isSent = false;
      const look = setInterval(async () => {
        const { stdout } = await exec('find', [join(root, 'content/ingest'), '-name', 'data', '-size', '+0']);
        // A look may last longer than the pause; a second interrupt waits for nothing.
        if (stdout === '' || isSent) return;
        isSent = true;
        clearInterval(look);
        child.kill('SIGINT');
      }, 100);
      child.on('exit', () => clearInterval(look));
    },
  };
}

/** The last two lines on stderr are the message and the hint; no stack, nothing that is not for a reader. */
function assertFailed(result: ExecResult, code: number, says: RegExp): void {
  assert.equal(result.code, code, explain(result));
  const lines = result.stderr.trimEnd().split('\n');
  const [message = '', hint = ''] = lines.slice(-2);
  assert.match(message, /^hawser: \S/, explain(result));
  assert.match(hint, /^hint: \S/, explain(result));
  assert.match(message, says);
  assert.doesNotMatch(result.stderr, /^\s+at |undefined|\[object|HawserError/m);
}
