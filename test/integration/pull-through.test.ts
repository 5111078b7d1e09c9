/** `hawser serve --pull-through` as its clients see it: other tools, many at once, by hosts.toml, while it is killed. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildImage, type TestImage } from '../registry/image.ts';
import { sha256, startRegistry, type TestRegistry } from '../registry/registry.ts';
import { installations, startContainerd } from '../support/containerd.ts';
import { hawser, quickest, wanted } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { freePort, startDaemon } from '../support/processes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { peakOf, pullers, type Served, serve, serveAt } from '../support/serving.ts';

const MIB = 1 << 20;

let temp: Scratch;
let image: TestImage;
let layer: string;
let size: number;
let origin: TestRegistry;
let rounds = 0;
/** A new directory for each test. */
const at = (name: string) => join(temp.path, String(rounds), name);

before(async () => {
  temp = scratch('hawser-through-');
  const data = randomBytes(6 * MIB).toString('latin1');
  image = await buildImage({
    layers: [{ entries: [{ name: 'big', data }] }, { entries: [{ name: 'small', data: 'y' }] }],
  });
  layer = image.layers[0]?.digest ?? '';
  size = image.layers[0]?.size ?? 0;
  origin = await startRegistry();
  origin.push('a/b', '1', image);
});
beforeEach(() => {
  rounds++;
  mkdirSync(join(temp.path, String(rounds)));
  origin.requests.length = 0;
  origin.faults.length = 0;
});
after(async () => {
  await origin.close();
  await temp[Symbol.asyncDispose]();
});

/** Bytes of the layer that the registry has sent. */
const sent = () =>
  origin.requests
    .filter(({ path, method }) => path.includes(layer) && method === 'GET')
    .reduce((sum, request) => sum + request.sent, 0);

/** A directory whose hosts.toml sends questions about `host` (default: all registries) to these mirrors first. */
function hostsDir(mirrors: readonly string[], host = '_default'): string {
  const dir = at('certs.d');
  mkdirSync(join(dir, host), { recursive: true });
  const lines = mirrors.map((mirror) => `[host."http://${mirror}"]\n  capabilities = ["pull", "resolve"]\n`);
  writeFileSync(join(dir, host, 'hosts.toml'), lines.join('\n'));
  return dir;
}

for (const flavour of wanted.filter((one) => one === quickest || one.name === 'deno'))
  describe(`pull-through (${flavour.name})`, { skip: flavour.skip }, () => {
    const through = (...more: readonly string[]): Promise<Served> =>
      serve(flavour, at('root'), '--pull-through', origin.host, ...more);

    for (const { name, skip, pull } of pullers)
      test(`A37: ${name} pulls what only the registry has; a second time from the store`, {
        skip,
      }, async () => {
        const server = await through();
        try {
          const ref = `${server.host}/${origin.host.replace(':', '_')}/a/b:1`;
          assert.equal(await pull(ref, at(`${name}-1`)), image.root.digest);
          assert.equal(await pull(ref, at(`${name}-2`)), image.root.digest);
          assert.equal(sent(), size);
        } finally {
          await server.stop();
        }
      });

    test('50 clients at once: the registry sends each byte once, all are right, memory stays below 200 MiB', async () => {
      origin.faults.push({ match: layer, method: 'GET', rate: 4 * MIB });
      const server = await through();
      try {
        const url = `http://${server.host}/v2/a/b/blobs/${layer}`;
        const one = async () => sha256(new Uint8Array(await (await fetch(url)).arrayBuffer()));
        const got = await Promise.all(Array.from({ length: 50 }, one));
        assert.ok(got.every((digest) => digest === layer));
        assert.equal(sent(), size);
        const peak = peakOf(server);
        // From sources the compiler of types takes its share.
        assert.ok(peak < (flavour.file === undefined ? 340 : 200), `${Math.round(peak)} MiB`);
      } finally {
        await server.stop();
      }
    });

    test('killed in the middle and started again: the client ends well, and the fetch goes on where it was', async () => {
      origin.faults.push({ match: layer, method: 'GET', rate: 1.5 * MIB });
      const port = await freePort();
      const start = () => serveAt(flavour, at('root'), port, '--pull-through', origin.host);
      const server = await start();
      const certs = hostsDir([server.host], origin.host);
      writeFileSync(
        join(certs, origin.host, 'hosts.toml'),
        `server = "http://${server.host}"\n[host."http://${server.host}"]\n  capabilities = ["pull", "resolve"]\n`,
      );
      const client = hawser(quickest, at('client'));
      const fetching = client.run([
        'content',
        'fetch',
        '--progress',
        'json',
        '--hosts-dir',
        certs,
        `${origin.host}/a/b:1`,
      ]);
      while (
        sent() === 0 &&
        !origin.requests.some(({ path, method }) => method === 'GET' && path.includes(layer))
      )
        await sleep(50);
      await sleep(1500);
      server.child.kill('SIGKILL');
      await server.stop();
      origin.faults.length = 0;
      const again = await start();
      try {
        const { code, stderr } = await fetching;
        assert.equal(code, 0, stderr);
        await client.ok('content', 'verify');
        assert.ok(sent() < 1.6 * size, `${sent()} of ${size}`);
      } finally {
        await again.stop();
      }
    });

    test('a mirror that leads back to the server: it asks the registry, and never itself for ever', async () => {
      const port = await freePort();
      const certs = hostsDir([`127.0.0.1:${port}`]);
      const server = await serveAt(
        flavour,
        at('root'),
        port,
        '--pull-through',
        origin.host,
        '--hosts-dir',
        certs,
        '--access-log',
      );
      let log = '';
      server.child.stderr?.on('data', (bytes) => {
        log += String(bytes);
      });
      try {
        const client = hawser(quickest, at('client'));
        await client.ok('content', 'fetch', '--hosts-dir', certs, `${origin.host}/a/b:1`);
        assert.equal(sent(), size);
        // Each question to itself is answered once, with 404.
        const own = log.split('\n').filter((line) => line.includes(`/blobs/${layer}`));
        assert.ok(own.length <= 6, own.join('\n'));
      } finally {
        await server.stop();
      }
    });

    test('a registry that goes away: what was pulled is still there for the next client, of another nothing is told', async () => {
      const server = await through('--retry-time', '2s');
      try {
        const certs = hostsDir([server.host]);
        const fetch = (store: string, ...more: readonly string[]) =>
          hawser(quickest, at(store)).run([
            'content',
            'fetch',
            '--hosts-dir',
            certs,
            ...more,
            `${origin.host}/a/b:1`,
          ]);
        assert.equal((await fetch('first')).code, 0);
        origin.faults.push({ reset: true });
        const began = performance.now();
        assert.equal((await fetch('second')).code, 0);
        assert.ok(performance.now() - began < 15_000, 'a tag that is known waits for nobody for long');
        const gone = await hawser(quickest, at('third')).run([
          'content',
          'fetch',
          '--hosts-dir',
          certs,
          '--retry',
          '0',
          `${origin.host}/a/other:1`,
        ]);
        assert.equal(gone.code, 1);
        assert.match(gone.stderr, /502/);
      } finally {
        await server.stop();
      }
    });
  });

for (const installation of installations)
  test(`A37: ctr of ${installation.name} pulls by hosts.toml; the registry sends the layer once for two of them`, {
    skip: needs({ root: true, tools: ['containerd', 'ctr'] }),
  }, async () => {
    const server = await serve(quickest, at('root'), '--pull-through', origin.host);
    try {
      const certs = hostsDir([server.host], origin.host);
      for (let n = 0; n < 2; n++) {
        const daemon = await startContainerd(undefined, '', installation);
        try {
          await daemon.ctr('images', 'pull', '--hosts-dir', certs, `${origin.host}/a/b:1`);
          const { stdout } = await daemon.ctr('images', 'ls');
          assert.match(stdout, new RegExp(image.root.digest));
        } finally {
          await daemon.close();
        }
      }
      assert.equal(sent(), size);
    } finally {
      await server.stop();
    }
  });

for (const installation of installations)
  test(`inside ${installation.name}: what comes through is content of the namespace, leased, and whole for the client`, {
    skip: needs({ root: true, tools: ['containerd', 'ctr'] }),
  }, async () => {
    const daemon = await startContainerd(undefined, '', installation);
    const [file, ...more] = quickest.command;
    const port = await freePort();
    const args = [
      ...more,
      '--address',
      daemon.socket,
      '-n',
      'through',
      'serve',
      '--listen',
      `127.0.0.1:${port}`,
    ];
    const ready = async () =>
      (await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined))?.ok === true;
    const server = await startDaemon(file, [...args, '--pull-through', origin.host], ready);
    try {
      const client = hawser(quickest, at('client'));
      const certs = hostsDir([`127.0.0.1:${port}`], origin.host);
      await client.ok('content', 'fetch', '--hosts-dir', certs, `${origin.host}/a/b:1`);
      assert.equal(sent(), size);
      const here = (await daemon.ctr('-n', 'through', 'content', 'ls', '-q')).stdout
        .trim()
        .split('\n')
        .sort();
      assert.deepEqual(here, [image.root.digest, ...image.blobs.keys()].sort());
      assert.equal((await daemon.ctr('-n', 'through', 'images', 'ls', '-q')).stdout.trim(), '');
      assert.match((await daemon.ctr('-n', 'through', 'leases', 'ls')).stdout, /containerd\.io\/gc\.expire/);
    } finally {
      await server.stop();
      await daemon.close();
    }
  });
