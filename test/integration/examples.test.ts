/** The programs in examples/, as they stand there: their types, and what they do with the built package, on each runtime. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildImage, type TestImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { type ExecResult, exec, execOk } from '../support/exec.ts';
import { freePort, startDaemon } from '../support/processes.ts';
import { deno, node22, node26, repository } from '../support/runtimes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';

const QUIET = '--disable-warning=ExperimentalWarning';
const RUNTIMES = [
  { name: 'Node 26', file: node26, args: [QUIET], narrow: [QUIET] },
  { name: 'Node 22', file: node22, args: [QUIET], narrow: [QUIET] },
  { name: 'Deno', file: deno, args: ['run', '-A', '--quiet'], narrow: ['run', '--no-prompt', '--quiet'] },
] as const;
const example = (name: string): string => join(repository, 'examples', name);
const skip = existsSync(join(repository, 'dist/lib/src/mod.js')) ? false : 'the library is not built';

test('the examples are all in their table, and their types hold', async () => {
  const table = readFileSync(example('README.md'), 'utf8');
  const names = [...table.matchAll(/\]\(([\w-]+\.ts)\)/g)].map(([, name = '']) => name);
  assert.equal(names.length, 6);
  for (const name of names) assert.ok(existsSync(example(name)), name);
  await execOk(join(repository, 'node_modules/.bin/tsc'), ['-p', join(repository, 'examples/tsconfig.json')]);
});

describe('the examples', { skip }, () => {
  let registry: TestRegistry;
  let temp: Scratch;
  /** Inside the package, so that its name means the package itself. */
  let inside: string;
  let image: TestImage;
  let reference: string;

  before(async () => {
    registry = await startRegistry({ uploads: {} });
    temp = scratch();
    mkdirSync(join(repository, 'build'), { recursive: true });
    inside = mkdtempSync(join(repository, 'build/examples-'));
    const layers = [
      {
        entries: [
          { name: 'etc/motd', data: 'hello\n' },
          { name: 'etc/gone', data: '' },
        ],
      },
      { entries: [{ name: 'etc/.wh.gone', data: '' }], compression: 'zstd' as const },
    ];
    image = await buildImage({ layers });
    reference = registry.push('team/app', '1', image);
  });
  after(async () => {
    await registry.close();
    await temp[Symbol.asyncDispose]();
    rmSync(inside, { recursive: true });
  });

  for (const { name, file, args, narrow } of RUNTIMES) {
    const run = (program: string, ...more: string[]): Promise<ExecResult> =>
      exec(file, [...args, example(program), ...more], { cwd: temp.path });
    const place = (path: string): string => {
      const dir = join(temp.path, name.replace(' ', ''));
      mkdirSync(dir, { recursive: true });
      return join(dir, path);
    };

    test(`${name}: list-files`, async () => {
      const { code, stdout, stderr } = await run('list-files.ts', reference, '/etc');
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^0644 0:0 +6 \/etc\/motd\n$/);
    });

    test(`${name}: copy-file`, async () => {
      const done = await run('copy-file.ts', reference, '/etc/motd', place('motd'));
      assert.equal(done.code, 0, done.stderr);
      assert.equal(readFileSync(place('motd'), 'utf8'), 'hello\n');
      const failed = await run('copy-file.ts', reference, '/etc/gone', place('gone'));
      assert.equal(failed.code, 1, failed.stdout);
      assert.match(failed.stderr, /No such file in the image: \/etc\/gone/);
      assert.deepEqual([existsSync(place('gone')), existsSync(place('gone.part'))], [false, false]);
    });

    test(`${name}: mirror-list`, async () => {
      writeFileSync(place('list'), `# what we run\n${reference}\n${reference}-none\n`);
      const to = `${registry.host}/${name.toLowerCase().replace(' ', '')}`;
      const { code, stdout, stderr } = await run('mirror-list.ts', place('list'), to);
      assert.equal(code, 1, stderr);
      assert.equal(stdout, `${reference} ${image.root.digest}\n`);
      assert.match(stderr, /-none: .*not found/);
      const [, repo = ''] = /^[^/]+\/(.*)$/.exec(to) ?? [];
      const copied = `${repo}/${registry.host.replace(':', '_')}/team/app`;
      assert.ok(await registry.content(copied, '1'));
      writeFileSync(place('list'), `${reference.replace(/:1$/, '')}@${image.root.digest}\n`);
      assert.equal((await run('mirror-list.ts', place('list'), `${to}/pinned`)).code, 0);
      const pinned = copied.replace(`${repo}/`, `${repo}/pinned/`);
      assert.ok(await registry.content(pinned, image.root.digest));
      assert.equal(await registry.content(pinned, 'latest'), undefined);
    });

    test(`${name}: progress-server`, async () => {
      const port = await freePort();
      const url = `http://127.0.0.1:${port}`;
      const ready = async () => (await fetch(url).catch(() => undefined))?.status === 404;
      const command = [...args, example('progress-server.ts'), place('served'), String(port)];
      const server = await startDaemon(file, command, ready);
      try {
        const text = await (await fetch(`${url}/fetch?ref=${encodeURIComponent(reference)}`)).text();
        const layer = image.layers[0];
        assert.ok(text.includes(`event: blob\ndata: {"digest":"${layer?.digest}"`), text);
        assert.ok(text.includes(`event: fetched\ndata: {`) && text.includes(image.root.digest), text);
        const none = await (
          await fetch(`${url}/fetch?ref=${encodeURIComponent(`${reference}-none`)}`)
        ).text();
        assert.match(none, /event: failed\ndata: \{"kind":"NotFound"/);
        const local = await fetch(`${url}/fetch?ref=oci-archive:/etc/passwd`);
        assert.deepEqual([local.status, (await fetch(`${url}//`)).status], [400, 404]);
      } finally {
        await server.stop();
      }
    });

    test(`${name}: ci-cache`, async () => {
      const old = registry.push('team/old', '1', image);
      const cache = ['ci-cache.ts', place('list'), place('cache'), place('images.tar')] as const;
      writeFileSync(place('list'), `${reference}\n${old}\n`);
      const first = await run(...cache);
      assert.equal(first.code, 0, first.stderr);
      assert.match(first.stdout, /team\/app:1: \d{3,} bytes in 4 of 4 blobs/);
      assert.match(first.stdout, /team\/old:1: 0 bytes in 0 of 4 blobs/);
      writeFileSync(place('list'), `${reference}\n`);
      const second = await run(...cache);
      assert.equal(second.code, 0, second.stderr);
      assert.match(
        second.stdout,
        /team\/app:1: 0 bytes in 0 of 4 blobs to fetch\n.*team\/old:1: no longer listed\n/,
      );
      assert.ok(readFileSync(place('images.tar')).includes(image.root.digest.slice(7)));
    });

    test(`${name}: edge`, async () => {
      const path = join(inside, `${name.replace(' ', '')}.mjs`);
      const asks = ['/etc/motd', '/etc/gone'].map((one) =>
        JSON.stringify(`http://edge/${reference}/-${one}`),
      );
      writeFileSync(
        path,
        `import edge from ${JSON.stringify(example('edge.ts'))};
for (const url of [${asks}]) {
  const response = await edge.fetch(new Request(url));
  console.log(response.status, (await response.text()).trim());
}\n`,
      );
      const net = file === deno ? [`--allow-net=${registry.host}`] : [];
      const { stdout } = await execOk(file, [...narrow, ...net, path]);
      assert.match(stdout, /^200 hello\n404 \{"kind":"NotFound"/);
    });
  }
});
