/** `hawser serve` as its clients see it: skopeo, crane, ctr and hawser pull from it, many at once, also while it is killed. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildImage, type TestImage } from '../registry/image.ts';
import { sha256, startRegistry } from '../registry/registry.ts';
import { installations, startContainerd } from '../support/containerd.ts';
import { execOk } from '../support/exec.ts';
import { hawser, wanted } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { freePort, startDaemon } from '../support/processes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { peakOf, peer, pullers, type Served, serve, serveAt } from '../support/serving.ts';

const MIB = 1 << 20;
/** The bytes of a layer that does not compress. */
const SIZE = 12 * MIB;

/** The one that starts fastest, and Deno, whose node:http is another. */
const quick = wanted.findLast((one) => one.skip === false);
for (const flavour of wanted.filter((one) => one === quick || one.name === 'deno'))
  describe(`serve (${flavour.name})`, { skip: flavour.skip }, () => {
    let temp: Scratch;
    let image: TestImage;
    let server: Served;
    let layer: string;
    const at = (name: string) => join(temp.path, name);

    before(async () => {
      temp = scratch('hawser-serve-');
      image = await buildImage({
        layers: [
          { entries: [{ name: 'big', data: randomBytes(SIZE).toString('latin1') }] },
          { entries: [{ name: 'small', data: 'y' }] },
        ],
      });
      layer = image.layers[0]?.digest ?? '';
      const registry = await startRegistry();
      try {
        const ref = registry.push('a/b', '1', image);
        await hawser(flavour, at('root')).ok('fetch', ref);
      } finally {
        await registry.close();
      }
      server = await serve(flavour, at('root'));
    });
    after(async () => {
      await server.stop();
      await temp[Symbol.asyncDispose]();
    });

    for (const { name, skip, pull } of pullers)
      test(`A37: ${name} pulls the image as it is`, { skip }, async () => {
        assert.equal(await pull(`${server.host}/a/b:1`, at(name)), image.root.digest);
      });

    test('A37: skopeo lists tags, crane tags and repositories', {
      skip: needs({ tools: ['skopeo'] }) || peer('crane'),
    }, async () => {
      const repository = `docker://${server.host}/a/b`;
      const listed = await execOk('skopeo', ['list-tags', '--tls-verify=false', repository]);
      assert.deepEqual(JSON.parse(listed.stdout).Tags, ['1']);
      const names = (await execOk('crane', ['catalog', '--insecure', server.host])).stdout.trim();
      assert.match(names, /^127\.0\.0\.1_\d+\/a\/b$/);
      assert.equal(
        (await execOk('crane', ['ls', '--insecure', `${server.host}/${names}`])).stdout.trim(),
        '1',
      );
    });

    test('A37: hawser pulls from it, directly and as a mirror of a registry that is gone', async () => {
      const client = hawser(flavour, at('client'));
      const name = (await (await fetch(`http://${server.host}/v2/_catalog`)).json()).repositories[0];
      await client.ok('fetch', `${server.host}/${name}:1`);
      const origin = name.replace(/_(\d+)\/.*/, ':$1');
      const dir = at(`certs.d/${origin}`);
      mkdirSync(dir, { recursive: true });
      const printed = await hawser(flavour, at('root')).ok(
        'serve',
        '--listen',
        server.host,
        '--print-hosts-toml',
      );
      writeFileSync(join(dir, 'hosts.toml'), printed.stdout);
      const mirrored = hawser(flavour, at('mirrored'));
      await mirrored.ok('fetch', '--hosts-dir', at('certs.d'), `${origin}/a/b:1`);
      assert.match((await mirrored.ok('images', 'ls', '-q')).stdout, new RegExp(`^${origin}/a/b:1\n$`));
      await mirrored.ok('content', 'get', layer);
    });

    test('50 clients at once get every byte, and memory stays below 200 MiB', async () => {
      const one = (): Promise<string> =>
        new Promise((resolve, reject) => {
          const url = `http://${server.host}/v2/a/b/blobs/${layer}`;
          get(url, { agent: false }, (response) => {
            const parts: Buffer[] = [];
            response.on('data', (bytes: Buffer) => {
              parts.push(bytes);
              response.pause();
              setTimeout(() => response.resume(), 2);
            });
            response.on('end', () => resolve(sha256(Buffer.concat(parts))));
            response.on('error', reject);
          }).on('error', reject);
        });
      const got = await Promise.all(Array.from({ length: 50 }, one));
      assert.ok(got.every((digest) => digest === layer));
      const peak = peakOf(server);
      // From sources the compiler of types takes its share.
      const limit = flavour.file === undefined ? 330 : 200;
      assert.ok(peak < limit, `${Math.round(peak)} MiB`);
    });

    test('a blob that rots is cut, said, and then absent', async () => {
      const root = at('rotten');
      await execOk('cp', ['-r', at('root'), root]);
      const path = join(root, 'content/blobs/sha256', layer.slice(7));
      const bytes = readFileSync(path);
      bytes[bytes.length - 5] = (bytes[bytes.length - 5] ?? 0) ^ 1;
      await execOk('chmod', ['u+w', path]);
      writeFileSync(path, bytes);
      const rotten = await serve(flavour, root);
      let said = '';
      rotten.child.stderr?.on('data', (chunk) => {
        said += String(chunk);
      });
      try {
        const url = `http://${rotten.host}/v2/a/b/blobs/${layer}`;
        await assert.rejects(fetch(url).then((response) => response.arrayBuffer()));
        assert.equal((await fetch(url)).status, 404);
        await sleep(100);
        assert.match(said, new RegExp(`error: ${layer} is damaged, and was not sent whole`));
      } finally {
        await rotten.stop();
      }
    });

    test('a layer is served while another process fetches it', async () => {
      const root = at('arriving');
      const fetching = hawser(flavour, root).run(['fetch', '--limit-rate', '1500k', `${server.host}/a/b:1`]);
      let ended = false;
      void fetching.then(() => {
        ended = true;
      });
      // A store that is not there when the server starts is served as an empty one.
      while (
        !existsSync(join(root, 'content/ingest')) ||
        readdirSync(join(root, 'content/ingest')).length === 0
      )
        await sleep(50);
      const other = await serve(flavour, root);
      try {
        const ask = () => fetch(`http://${other.host}/v2/a/b/blobs/${layer}`);
        let response = await ask();
        for (; response.status !== 200; response = await ask()) await sleep(50);
        assert.equal(ended, false, 'the layer is here before it was asked for');
        assert.equal(sha256(new Uint8Array(await response.arrayBuffer())), layer);
        assert.equal((await fetching).code, 0);
      } finally {
        await other.stop();
      }
    });

    test('killed in the middle and started again: a client goes on and ends well', async () => {
      const slow = await serve(flavour, at('root'), '--limit-rate', '2M', '--access-log');
      let log = '';
      slow.child.stderr?.on('data', (chunk) => {
        log += String(chunk);
      });
      const client = hawser(flavour, at('resumed'));
      const fetching = client.run(['fetch', '--progress', 'json', `${slow.host}/a/b:1`]);
      while (!log.includes(`/blobs/${layer}`)) await sleep(50);
      await sleep(1000);
      slow.child.kill('SIGKILL');
      await slow.stop();
      const again = await serveAt(flavour, at('root'), Number(slow.host.split(':')[1]));
      try {
        const { code, stdout, stderr } = await fetching;
        assert.equal(code, 0, stderr);
        assert.match(stdout, /"type":"done"/);
        await client.ok('content', 'get', layer);
      } finally {
        await again.stop();
      }
    });

    test('SIGTERM ends it with status 0; an address that all can reach needs TLS or --plain-http', async () => {
      const short = await serve(flavour, at('root'));
      const ended = new Promise((resolve) => short.child.once('exit', resolve));
      short.child.kill('SIGTERM');
      assert.equal(await ended, 0);
      const open = await hawser(flavour, at('root')).run(['serve', '--listen', '0.0.0.0:0']);
      assert.equal(open.code, 2);
      assert.match(open.stderr, /can be reached by other machines/);
    });
  });

for (const installation of installations)
  test(`A37: ctr of ${installation.name} pulls from it, also as a mirror by hosts.toml`, {
    skip: needs({ root: true, tools: ['containerd', 'ctr'] }),
  }, async () => {
    assert.ok(quick);
    const temp = scratch('hawser-serve-ctr-');
    const registry = await startRegistry();
    const image = await buildImage({ layers: [{ entries: [{ name: 'a', data: 'x'.repeat(100_000) }] }] });
    const ref = registry.push('a/b', '1', image);
    await hawser(quick, join(temp.path, 'root')).ok('fetch', ref);
    await registry.close();
    const server = await serve(quick, join(temp.path, 'root'));
    const daemon = await startContainerd(undefined, '', installation);
    try {
      await daemon.ctr('content', 'fetch', '--plain-http', `${server.host}/a/b:1`);
      const dir = join(temp.path, 'certs.d/registry.test');
      mkdirSync(dir, { recursive: true });
      writeFileSync(
        join(dir, 'hosts.toml'),
        `server = "http://${server.host}"\n[host."http://${server.host}"]\n  capabilities = ["pull", "resolve"]\n`,
      );
      // The mirror knows the registry by another name: what it is asked with is not here.
      await assert.rejects(
        daemon.ctr('content', 'fetch', '--hosts-dir', join(temp.path, 'certs.d'), 'registry.test/a/b:1'),
      );
      const origin = ref.slice(0, ref.indexOf('/'));
      const own = join(temp.path, 'certs.d', origin);
      mkdirSync(own, { recursive: true });
      writeFileSync(join(own, 'hosts.toml'), readFileSync(join(dir, 'hosts.toml')));
      await daemon.ctr('content', 'fetch', '--hosts-dir', join(temp.path, 'certs.d'), ref);
      const { stdout } = await daemon.ctr('images', 'ls', '-q');
      assert.deepEqual(stdout.trim().split('\n').sort(), [ref, `${server.host}/a/b:1`].sort());
      // The other way round: a containerd is filled by a list, and served.
      const inside = ['--address', daemon.socket, '-n', 'other'];
      const [file, ...before] = quick.command;
      const list = join(temp.path, 'list');
      writeFileSync(list, `${server.host}/a/b:1\n${server.host}/${origin.replace(':', '_')}/a/b:1\n`);
      const pulled = await execOk(file, [...before, ...inside, 'pull', '-f', list]);
      assert.match(pulled.stdout, /2 of 2 images/);
      const port = await freePort();
      const args = [...before, ...inside, 'serve', '--listen', `127.0.0.1:${port}`];
      const ready = async () =>
        (await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined))?.ok === true;
      const other = await startDaemon(file, args, ready);
      try {
        const layer = image.layers[0]?.digest ?? '';
        const got = await fetch(`http://127.0.0.1:${port}/v2/a/b/blobs/${layer}`);
        assert.equal(sha256(new Uint8Array(await got.arrayBuffer())), layer);
        const part = await fetch(`http://127.0.0.1:${port}/v2/a/b/blobs/${layer}`, {
          headers: { range: 'bytes=5-9' },
        });
        assert.equal((await part.arrayBuffer()).byteLength, 5);
      } finally {
        await other.stop();
      }
    } finally {
      await daemon.close();
      await server.stop();
      await temp[Symbol.asyncDispose]();
    }
  });
