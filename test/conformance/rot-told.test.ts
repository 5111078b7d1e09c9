/** Every command that reads damaged bytes of the store says what mends them, and after that it works. */
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { workerUrl } from '../../src/entry/worker-url.ts';
import { composeRuntime } from '../../src/platform/compose.ts';
import { buildImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { type RanHere, runHere } from '../support/command-line.ts';
import { ROT } from '../support/rot.ts';
import { noise } from '../support/small-image.ts';
import { parts } from '../support/this-runtime.ts';
import { tempDir } from '../support/tmp.ts';

let registry: TestRegistry;
/** Another host, where nothing can be mounted. */
let taker: TestRegistry;
let dir: ReturnType<typeof tempDir>;
before(async () => {
  registry = await startRegistry();
  taker = await startRegistry({ uploads: {} });
  dir = tempDir();
});
after(async () => {
  await registry.close();
  await taker.close();
  dir[Symbol.dispose]();
});

async function hawser(root: string, args: readonly string[]): Promise<RanHere> {
  const runtime = composeRuntime(parts, { workerUrl: workerUrl() });
  const ran = await runHere(runtime, root, args);
  await runtime.workers[Symbol.asyncDispose]();
  return ran;
}

const layer = (n: number, compression: 'gzip' | 'zstd' | 'none') => ({
  entries: [{ name: `file-${n}`, data: noise(n, 200_000) }],
  compression,
});
const image = await buildImage({ layers: [layer(1, 'gzip'), layer(2, 'zstd'), layer(3, 'none')] });
const layers = image.layers.map(({ digest }) => digest);
const config = [...image.blobs.keys()].find((digest) => !layers.includes(digest)) ?? '';
const digests: Readonly<Record<string, string>> = {
  manifest: image.root.digest,
  config,
  'gzip layer': layers[0] ?? '',
  'zstd layer': layers[1] ?? '',
  'plain layer': layers[2] ?? '',
};
const LAYERS = Object.keys(digests).slice(2);

/** Commands, and what of the image they read. `to`: a place that is free. */
const COMMANDS: readonly {
  readonly name: string;
  readonly args: (ref: string, to: string, part: string) => readonly string[];
  readonly reads: readonly string[];
}[] = [
  { name: 'export', args: (ref, to) => ['export', to, ref], reads: ['config', ...LAYERS] },
  {
    name: 'export to a file',
    args: (ref, to) => ['export', `${to}.tar.zst`, ref],
    reads: ['config', ...LAYERS],
  },
  {
    name: 'push',
    args: (ref, to) => ['push', `${taker.host}/to/app${basename(to)}:1`, ref],
    reads: ['config', ...LAYERS],
  },
  {
    name: 'unpack --rootfs',
    args: (ref, to) => ['unpack', ref, '--rootfs', to, '--owner', 'ours', '--pull', 'never'],
    reads: ['config', ...LAYERS],
  },
  {
    name: 'unpack --tar',
    args: (ref, to) => ['unpack', ref, '--tar', `${to}.tar`, '--pull', 'never'],
    reads: LAYERS,
  },
  {
    name: 'bundle',
    args: (ref, to) => ['bundle', ref, to, '--owner', 'ours', '--pull', 'never'],
    reads: LAYERS,
  },
  { name: 'files ls', args: (ref) => ['files', 'ls', ref, '--pull', 'never'], reads: LAYERS },
  { name: 'cat', args: (ref) => ['cat', ref, '/file-1', '--pull', 'never'], reads: LAYERS },
  {
    name: 'cp',
    args: (ref) => ['cp', `${ref}:/file-1`, dir.path, '--force', '--pull', 'never'],
    reads: LAYERS,
  },
  {
    name: 'content get',
    args: (_, __, part) => ['content', 'get', digests[part] ?? ''],
    reads: ['manifest', 'config', ...LAYERS],
  },
  { name: 'images inspect', args: (ref) => ['images', 'inspect', ref], reads: ['manifest', 'config'] },
];

for (const { name, args, reads } of COMMANDS) {
  test(`${name}: damage is told with what mends it`, async () => {
    const ref = registry.push('a/app', '1', image);
    const sound = join(dir.path, `sound-${name.replace(/\W/g, '-')}`);
    assert.equal((await hawser(sound, ['fetch', ref, '-q'])).code, 0);
    let count = 0;
    for (const part of reads) {
      const root = `${sound}-${++count}`;
      cpSync(sound, root, { recursive: true });
      ROT['a flipped bit']?.(join(root, 'content/blobs', digests[part]?.replace(':', '/') ?? ''));
      const ran = await hawser(root, args(ref, `${root}-to`, part));
      assert.equal(ran.code, 1, part);
      assert.match(ran.err, /^hint: .*hawser images repair REF/m, `${part}: ${ran.err}`);
      if (part !== reads[0]) continue;
      const repaired = await hawser(root, ['images', 'repair', ref]);
      assert.equal(repaired.code, 0, `${repaired.out}${repaired.err}`);
      const again = await hawser(root, args(ref, `${root}-to`, part));
      assert.equal(again.code, 0, again.err);
    }
  });
}
