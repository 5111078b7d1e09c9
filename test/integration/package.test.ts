/** The package as `npm publish` would send it: small, whole, and importable by its name on every runtime. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { execOk } from '../support/exec.ts';
import { flavour } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { deno, node22, node26, repository } from '../support/runtimes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';

const skip = flavour('bundle').skip || needs({ tools: ['npm', 'tar'] });
const MAX_PACKED = 1_500_000;
const MAX_UNPACKED = 4_000_000;

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

describe('the npm package', { skip }, () => {
  let temp: Scratch;
  let packed: Packed;
  let app: string;

  before(async () => {
    temp = scratch();
    const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', temp.path];
    const { stdout } = await execOk('npm', args, { cwd: repository });
    packed = (JSON.parse(stdout) as Packed[])[0] as Packed;
    app = join(temp.path, 'app');
    const home = join(app, 'node_modules/hawser');
    mkdirSync(home, { recursive: true });
    await execOk('tar', ['-xzf', join(temp.path, packed.filename), '-C', home, '--strip-components=1']);
    const { dependencies } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    for (const name of Object.keys(dependencies)) {
      const link = join(app, 'node_modules', name);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(join(repository, 'node_modules', name), link);
    }
    writeFileSync(join(app, 'package.json'), '{"type":"module"}');
    writeFileSync(
      join(app, 'main.mjs'),
      "import { isKind, openStore } from 'hawser';\nconsole.log(typeof openStore, typeof isKind);\n",
    );
  });
  after(async () => {
    await temp[Symbol.asyncDispose]();
  });

  test('it holds the library and the one file, not the executable', () => {
    const others = packed.files
      .map(({ path }) => path)
      .filter(
        (path) =>
          !/^dist\/(?:lib|shell)\/|^dist\/hawser\.mjs$|^(package\.json|README\.md|LICENSE)$/.test(path),
      );
    assert.deepEqual(others, []);
    assert.ok(packed.size < MAX_PACKED, `${packed.size} bytes packed`);
    assert.ok(packed.unpackedSize < MAX_UNPACKED, `${packed.unpackedSize} bytes unpacked`);
  });

  for (const [name, file, ...args] of [
    ['Node 26', node26],
    ['Node 22', node22, '--disable-warning=ExperimentalWarning'],
    ['Deno', deno, 'run', '-A', '--quiet', '--node-modules-dir=manual'],
  ] as const) {
    test(`${name} imports it by its name`, async () => {
      const env = { ...process.env, DENO_DIR: join(temp.path, 'deno') };
      const { stdout } = await execOk(file, [...args, 'main.mjs'], { cwd: app, env });
      assert.equal(stdout, 'function function\n');
    });
  }

  test('its program runs', async () => {
    const { stdout } = await execOk(node26, [join(app, 'node_modules/hawser/dist/hawser.mjs'), '--version']);
    assert.match(stdout, /^hawser \d+\.\d+\.\d+ \(node /);
  });
});
