/** The code of docs/library.md, as it stands there: its types, and what it prints with the built package, on each runtime. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { buildImage, buildIndex } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { execOk } from '../support/exec.ts';
import { deno, node22, node26, repository } from '../support/runtimes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';

const guide: string = readFileSync(join(repository, 'docs/library.md'), 'utf8');
const blocks: readonly string[] = [...guide.matchAll(/```ts\n(.*?)```/gs)].map(([, text = '']) => text);
const skip = existsSync(join(repository, 'dist/lib/src/mod.js')) ? false : 'the library is not built';

/** What each block prints, in their order. */
const PRINTS: readonly RegExp[] = [
  /^sha256:\w{64} has 2 layers\n\[ .\/bin\/app. \] \[ .A=b. \] \[ .1\.2. \]\n$/,
  /^\/etc\/motd file 644 6\nhello\n\n$/,
  /^5 blobs are to be fetched\n1 image is taken in\n.*\/org\/app:1\.2 sha256:\w{64}\nall is sound\n$/,
  /^(?:sha256:\w{64} \d+ of \d+\n){4,}$/,
  /^$/,
  /^\{.*digest: .sha256:\w{64}.*\}\n$/s,
  /^sha256:\w{64} hello\n\n$/,
];

test('docs/library.md has code for each of its parts, and its types hold', async () => {
  assert.equal(blocks.length, PRINTS.length);
  mkdirSync(join(repository, 'build'), { recursive: true });
  const dir = mkdtempSync(join(repository, 'build/guide-'));
  try {
    for (const [at, text] of blocks.entries()) writeFileSync(join(dir, `${at}.mts`), text);
    const base = JSON.stringify({ extends: '../../examples/tsconfig.json', include: ['.'] });
    writeFileSync(join(dir, 'tsconfig.json'), base);
    await execOk(join(repository, 'node_modules/.bin/tsc'), ['-p', dir]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

describe('docs/library.md', { skip }, () => {
  let registry: TestRegistry;
  let temp: Scratch;
  let inside: string;

  before(async () => {
    registry = await startRegistry({ uploads: {} });
    temp = scratch();
    mkdirSync(join(repository, 'build'), { recursive: true });
    // Inside the package, so that its name means the package itself.
    inside = mkdtempSync(join(repository, 'build/guide-'));
    const folder = { name: 'etc/', type: 'directory' as const, mode: 0o755 };
    const imageFor = (architecture: string) =>
      buildImage({
        platform: { os: 'linux', architecture },
        config: { config: { Entrypoint: ['/bin/app'], Env: ['A=b'] } },
        layers: [
          { entries: [folder, { name: 'etc/motd', data: 'hello\n' }, { name: 'etc/gone', data: '' }] },
          { entries: [folder, { name: 'etc/.wh.gone', data: architecture }] },
        ],
      });
    const amd64 = await imageFor('amd64');
    registry.push('org/app', '1.2', buildIndex([amd64, await imageFor('arm64')]));
    registry.push('team/app', '1', amd64);
  });
  after(async () => {
    await registry.close();
    await temp[Symbol.asyncDispose]();
    rmSync(inside, { recursive: true });
  });

  for (const [name, file, ...args] of [
    ['node26', node26, '--disable-warning=ExperimentalWarning'],
    ['node22', node22, '--disable-warning=ExperimentalWarning'],
    ['deno', deno, 'run', '-A', '--quiet'],
  ] as const) {
    test(`its code, on ${name}`, async () => {
      const dir = join(inside, name);
      mkdirSync(dir);
      const mark = (at: number): string => `-- ${at} --`;
      for (const [at, text] of blocks.entries()) {
        const here = text
          .replaceAll(/ghcr\.io|registry\.example/g, registry.host)
          .replaceAll('mirror/', `mirror-${name}/`)
          .replaceAll(/'\/(?:var\/lib|srv)\//g, `'${join(temp.path, name)}/`);
        writeFileSync(join(dir, `${at}.mts`), here);
      }
      mkdirSync(join(temp.path, name, 'certs.d'), { recursive: true });
      const lines = blocks.map((_, at) => `console.log('${mark(at)}');\nawait import('./${at}.mts');\n`);
      writeFileSync(join(dir, 'all.mts'), lines.join(''));
      const { stdout } = await execOk(file, [...args, join(dir, 'all.mts')], {
        env: { ...process.env, NO_COLOR: '1' },
      });
      for (const [at, wanted] of PRINTS.entries()) {
        const [, printed = ''] = stdout.split(`${mark(at)}\n`);
        assert.match(printed.split('-- ')[0] ?? '', wanted, `block ${at}: ${stdout}`);
      }
    });
  }
});
