/** Builds the images of `npm run bench`: what decides their bytes is here, in layers.sh, app.json and tiny-layers.ts. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { addImage, createLayout, type Described, type LayerFile } from '../fixtures/layout.ts';
import { tinyLayers } from './tiny-layers.ts';

/** The files that decide what is built. */
export const RECIPE: readonly string[] = ['layers.sh', 'app.json', 'build-images.ts', 'tiny-layers.ts'];

/** Programs that building takes. */
export const BUILD_TOOLS: readonly string[] = ['mmdebstrap', 'npm', 'tar', 'getfattr', 'gzip', 'zstd'];

const CONFIG = {
  created: '2026-01-01T00:00:00Z',
  architecture: 'amd64',
  os: 'linux',
  config: { Cmd: ['/bin/sh'] },
};

/** An OCI layout in `dir` with the names of IMAGES. */
export async function buildImages(dir: string, log: (line: string) => void): Promise<void> {
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
  add('tiny-127', 'gzip', await tinyLayers(layout, tars, { count: 127 }));
  add('many', 'gzip', await tinyLayers(layout, tars, { bytes: 16_384 }));
  layout.finish();
}

const TOOLS = { gzip: ['gzip', '-6', '-n', '-c'], zstd: ['zstd', '-3', '-q', '-c'] } as const;

/** What the tools of the field make of a tar (BuildKit's defaults), as blobs of the layout. */
async function compressed(
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
