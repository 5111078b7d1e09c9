/**
 * The images that are measured, built once and kept: an OCI layout with the names of IMAGES. Cached by the hash of the
 * recipe below HAWSER_BENCH_DIR (default: ~/.cache/hawser-bench; about 4 GB, so not a tmpfs).
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { addImage, createLayout, type Described, type LayerFile, type Layout } from '../fixtures/layout.ts';
import { tinyLayers } from './tiny-layers.ts';

export interface BenchImage {
  readonly name: string;
  readonly title: string;
  readonly compression: 'gzip' | 'zstd';
}

export const IMAGES: readonly BenchImage[] = [
  { name: 'minbase', title: 'Debian minbase, 1 layer', compression: 'gzip' },
  { name: 'python', title: '+ python and clean-up, 3 layers', compression: 'gzip' },
  { name: 'app', title: '+ node_modules and two 100 MB binaries, 6 layers', compression: 'gzip' },
  { name: 'app-one-layer', title: 'the same as one layer', compression: 'gzip' },
  { name: 'app-zstd', title: 'the same 6 layers as zstd', compression: 'zstd' },
  { name: 'tiny', title: '60 tiny layers', compression: 'gzip' },
];

const CONFIG = {
  created: '2026-01-01T00:00:00Z',
  architecture: 'amd64',
  os: 'linux',
  config: { Cmd: ['/bin/sh'] },
};

export function benchDir(): string {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const dir = process.env.HAWSER_BENCH_DIR ?? join(cache, 'hawser-bench');
  mkdirSync(dir, { recursive: true });
  return dir;
}

/** The layout's directory; `log` hears of what takes long. */
export async function benchImages(log: (line: string) => void): Promise<string> {
  const recipe = createHash('sha256');
  for (const file of ['layers.sh', 'app.json', 'images.ts', 'tiny-layers.ts'])
    recipe.update(readFileSync(join(import.meta.dirname, file)));
  const dir = join(benchDir(), `images-${recipe.digest('hex').slice(0, 16)}`);
  if (existsSync(dir)) return dir;
  rmSync(`${dir}.new`, { recursive: true, force: true });
  await build(`${dir}.new`, log);
  renameSync(`${dir}.new`, dir);
  return dir;
}

async function build(dir: string, log: (line: string) => void): Promise<void> {
  const tars = `${dir}.tars`;
  mkdirSync(tars, { recursive: true });
  const repository = join(import.meta.dirname, '../..');
  log('building the images (some minutes, once)');
  execFileSync('sh', [join(import.meta.dirname, 'layers.sh'), tars, repository], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const layout = createLayout(dir);
  const layers: LayerFile[] = [];
  for (const n of [1, 2, 3, 4, 5, 6]) {
    log(`compressing layer ${n}`);
    layers.push(await compressed(dir, join(tars, `${n}.tar`), ['gzip', 'zstd']));
  }
  log('compressing the one layer');
  const whole = await compressed(dir, join(tars, 'all.tar'), ['gzip']);
  rmSync(tars, { recursive: true });
  const add = (name: string, compression: 'gzip' | 'zstd', of: readonly LayerFile[]) =>
    layout.name(name, addImage(layout, compression, of, CONFIG));
  add('minbase', 'gzip', layers.slice(0, 1));
  add('python', 'gzip', layers.slice(0, 3));
  add('app', 'gzip', layers);
  add('app-one-layer', 'gzip', [whole]);
  add('app-zstd', 'zstd', layers);
  add('tiny', 'gzip', await tinyLayers(layout, tars));
  layout.finish();
}

const TOOLS = { gzip: ['gzip', '-6', '-n', '-c'], zstd: ['zstd', '-3', '-q', '-c'] } as const;

/** What the tools of the field make of a tar (BuildKit's defaults), as blobs of the layout. */
export async function compressed(
  layout: string,
  tar: string,
  wanted: readonly ('gzip' | 'zstd')[],
): Promise<LayerFile> {
  const diffId = `sha256:${await sha256(tar)}`;
  const blobs: Partial<Record<'gzip' | 'zstd', Described>> = {};
  for (const one of wanted) {
    const path = `${tar}.${one}`;
    await run(TOOLS[one], tar, path);
    const hex = await sha256(path);
    const size = statSync(path).size;
    renameSync(path, join(layout, 'blobs/sha256', hex));
    blobs[one] = {
      mediaType: `application/vnd.oci.image.layer.v1.tar+${one}`,
      digest: `sha256:${hex}`,
      size,
    };
  }
  return { diffId, blobs: blobs as LayerFile['blobs'] };
}

function run([file = '', ...args]: readonly string[], input: string, output: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-c', '"$@" < "$IN" > "$OUT"', 'sh', file, ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, IN: input, OUT: output },
    });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`${file} failed on ${input}`))));
  });
}

export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }))
    hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

/** For programs that want one image only: the sum of its compressed layers, in bytes. */
export function layoutManifest(dir: string, name: string): { layers: Described[]; config: Described } {
  const index = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8')) as { manifests: Described[] };
  const found = index.manifests.find(
    (one) => one.annotations?.['org.opencontainers.image.ref.name'] === name,
  );
  if (found === undefined) throw new Error(`The layout ${dir} has no image ${name}`);
  return JSON.parse(readFileSync(join(dir, 'blobs', found.digest.replace(':', '/')), 'utf8')) as {
    layers: Described[];
    config: Described;
  };
}

export type { Layout };
