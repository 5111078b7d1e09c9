/** `hawser push` to docker-registry: skopeo, crane and ctr pull then what was pushed; a connection that is cut is gone on with. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildImage, buildIndex, type TestImage } from '../registry/image.ts';
import { startRegistry } from '../registry/registry.ts';
import { installations, startContainerd } from '../support/containerd.ts';
import { execOk } from '../support/exec.ts';
import { hawser, quickest, wanted } from '../support/hawser.ts';
import { findTool, needs, requirePeer } from '../support/needs.ts';
import { freePort, startDaemon } from '../support/processes.ts';
import { type RealRegistry, startDockerRegistry } from '../support/real-registry.ts';
import { type Scratch, scratch } from '../support/scratch.ts';

const MIB = 1 << 20;
/** Of a layer that does not compress: more than a part after a lost connection. */
const SIZE = 20 * MIB;

function layers(architecture: string, data: string): Promise<TestImage> {
  return buildImage({
    layers: [{ entries: [{ name: 'own', data }] }, { entries: [{ name: 'shared', data: 'shared' }] }],
    platform: { os: 'linux', architecture },
  });
}

// The conformance tests push on each runtime; two have a client of HTTP of their own.
for (const flavour of wanted.filter((one) => one === quickest || one.name === 'deno'))
  describe(`push (${flavour.name})`, {
    skip: flavour.skip || needs({ tools: ['docker-registry', 'skopeo'] }),
  }, () => {
    let temp: Scratch;
    let registry: RealRegistry;
    let index: TestImage;
    let local: string;
    const at = (name: string) => join(temp.path, name);
    const go = () => hawser(flavour, at('root'));

    before(async () => {
      temp = scratch('hawser-push-');
      index = buildIndex([
        await layers('amd64', randomBytes(SIZE).toString('latin1')),
        await layers('arm64', 'x'),
      ]);
      const from = await startRegistry();
      try {
        local = from.push('t/src', '1', index);
        await go().ok('content', 'fetch', '--progress', 'none', '--all-platforms', local);
      } finally {
        await from.close();
      }
      registry = await startDockerRegistry();
      await go().ok('push', '--progress', 'none', `${registry.host}/x/app:1`, local);
    });
    after(async () => {
      await registry?.close();
      await temp?.[Symbol.asyncDispose]();
    });

    test('A40: skopeo copies it, all platforms and digests', async () => {
      const source = `docker://${registry.host}/x/app:1`;
      await execOk('skopeo', [
        'copy',
        '-q',
        '--all',
        '--src-tls-verify=false',
        source,
        `oci:${at('skopeo')}:1`,
      ]);
      const { manifests } = JSON.parse(readFileSync(join(at('skopeo'), 'index.json'), 'utf8'));
      assert.equal(manifests[0].digest, index.root.digest);
      for (const digest of index.blobs.keys())
        assert.ok(existsSync(join(at('skopeo'), 'blobs/sha256', digest.slice(7))), digest);
    });

    test('A40: crane validates it', { skip: crane() }, async () => {
      const { stdout } = await execOk('crane', ['digest', '--insecure', `${registry.host}/x/app:1`]);
      assert.equal(stdout.trim(), index.root.digest);
      await execOk('crane', ['validate', '--insecure', '--remote', `${registry.host}/x/app:1`]);
    });

    for (const installation of installations)
      test(`A40: ctr of ${installation.name} pulls it`, {
        skip: needs({ root: true, tools: ['containerd', 'ctr'] }),
      }, async () => {
        const containerd = await startContainerd(undefined, '', installation);
        try {
          const ref = `${registry.host}/x/app:1`;
          await containerd.ctr('content', 'fetch', '--plain-http', '--all-platforms', ref);
          const { stdout } = await containerd.ctr('images', 'ls', `name==${ref}`);
          assert.match(stdout, new RegExp(index.root.digest));
        } finally {
          await containerd.close();
        }
      });

    test('A40: a second push and a second name send no blob; another repository is lent the layers', async () => {
      const traced = async (ref: string) =>
        (await go().ok('push', '--progress', 'none', '--http-trace', ref, local)).stderr
          .split('\n')
          .filter((line) => /^http: (?:PUT|PATCH|POST) /.test(line));
      assert.deepEqual(await traced(`${registry.host}/x/app:1`), []);
      assert.equal((await traced(`${registry.host}/x/app:2`)).length, 1);
      // By its labels, what is fetched from there is there.
      await go().ok('content', 'fetch', '--progress', 'none', '--all-platforms', `${registry.host}/x/app:2`);
      const lines = await traced(`${registry.host}/x/other:1`);
      assert.equal(lines.filter((line) => /^http: PUT .*\/blobs\//.test(line)).length, 0, lines.join('\n'));
    });

    test('A40: a connection that is cut, in one request and in parts: the push ends well', async () => {
      for (const flags of [[], ['--chunk-size', '4M']]) {
        const proxy = await cutting(registry.host, 10 * MIB);
        try {
          const ref = `${proxy.host}/cut/${flags.length}:1`;
          await go().ok('push', '--plain-http', '--progress', 'none', ...flags, ref, local);
          assert.equal(proxy.cuts(), 1);
          // This registry forgets an upload whose connection is cut (404): all that it had is sent again.
          const whole = [...index.blobs.values()].reduce((sum, { length }) => sum + length, 0);
          assert.ok(proxy.sent() < 2 * whole + MIB, `${proxy.sent()} bytes`);
        } finally {
          await proxy.close();
        }
        const source = `docker://${registry.host}/cut/${flags.length}:1`;
        const args = ['inspect', '--tls-verify=false', '--format', '{{.Digest}}', source];
        assert.equal((await execOk('skopeo', args)).stdout.trim(), index.root.digest);
      }
    });

    test('A40: an index of absent platforms is refused, and why is told', async () => {
      const other = hawser(flavour, at('sparse'));
      const ref = `${registry.host}/x/app:1`;
      await other.ok('content', 'fetch', '--progress', 'none', '--platform', 'linux/arm64', ref);
      const done = await other.run(['push', '--progress', 'none', `${registry.host}/sparse/app:1`, ref]);
      assert.equal(done.code, 1);
      assert.match(done.stderr, /does not take an index with absent platforms/);
      const flags = ['--progress', 'none', '--platform', 'linux/arm64'];
      await other.ok('push', ...flags, `${registry.host}/sparse/app:1`, ref);
    });
  });

test('A40: crane’s registry takes an index once, and refuses one of absent platforms', {
  skip: crane(),
}, async () => {
  const temp = scratch('hawser-push-crane-');
  const host = `127.0.0.1:${await freePort()}`;
  const ready = async () => (await fetch(`http://${host}/v2/`).catch(() => undefined))?.ok === true;
  const server = await startDaemon('crane', ['registry', 'serve', '--address', host], ready);
  const index = buildIndex([await layers('amd64', 'x'), await layers('arm64', 'y')]);
  const from = await startRegistry();
  const go = hawser(quickest, join(temp.path, 'root'));
  try {
    const local = from.push('t/src', '1', index);
    await go.ok('content', 'fetch', '--progress', 'none', '--all-platforms', local);
    const traced = async (ref: string) =>
      (await go.ok('push', '--progress', 'none', '--http-trace', ref, local)).stderr
        .split('\n')
        .filter((line) => /^http: (?:PUT|PATCH|POST) /.test(line));
    const first = await traced(`${host}/x/app:1`);
    assert.equal(first.filter((line) => line.includes('/manifests/')).length, 3);
    assert.equal(first.filter((line) => /PUT .*\/blobs\//.test(line)).length, index.blobs.size);
    assert.deepEqual(await traced(`${host}/x/app:1`), []);
    const { stdout } = await execOk('crane', ['digest', '--insecure', `${host}/x/app:1`]);
    assert.equal(stdout.trim(), index.root.digest);
    await execOk('crane', ['validate', '--insecure', '--remote', `${host}/x/app:1`]);
    const sparse = hawser(quickest, join(temp.path, 'sparse'));
    await sparse.ok('content', 'fetch', '--progress', 'none', '--platform', 'linux/arm64', local);
    const done = await sparse.run(['push', '--progress', 'none', `${host}/sparse/app:1`, local]);
    assert.equal(done.code, 1);
    assert.match(done.stderr, /does not take an index with absent platforms/);
  } finally {
    await from.close();
    await server.stop();
    await temp[Symbol.asyncDispose]();
  }
});

function crane(): string | false {
  if (findTool('crane') !== undefined) return false;
  requirePeer('crane');
  return 'needs the tool crane';
}

/** A proxy before a server, which cuts the first connection that has brought so many bytes. */
async function cutting(to: string, limit: number) {
  const [host = '', port] = to.split(':');
  let [cuts, sent] = [0, 0];
  const server = createServer((client) => {
    const upstream = connect(Number(port), host);
    let brought = 0;
    client.on('data', (bytes) => {
      brought += bytes.length;
      sent += bytes.length;
      if (cuts > 0 || brought < limit) return;
      cuts++;
      client.resetAndDestroy();
      upstream.destroy();
    });
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream])
      socket.on('error', () => {
        client.destroy();
        upstream.destroy();
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cuts: () => cuts,
    sent: () => sent,
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
