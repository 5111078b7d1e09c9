/** Sixty layers of three small files: what a pull costs where there is nothing to fetch and to unpack. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pack } from 'tar-stream';
import { addLayer, type LayerFile, type Layout } from '../fixtures/layout.ts';

export async function tinyLayers(layout: Layout, scratch: string, count = 60): Promise<LayerFile[]> {
  mkdirSync(scratch, { recursive: true });
  const layers: LayerFile[] = [];
  for (let n = 0; n < count; n++) {
    const path = join(scratch, 'tiny.tar');
    writeFileSync(path, await tinyTar(n));
    layers.push(addLayer(layout, path));
  }
  rmSync(scratch, { recursive: true });
  return layers;
}

async function tinyTar(n: number): Promise<Uint8Array> {
  const tar = pack();
  const mtime = new Date(1_767_225_600_000);
  tar.entry({ name: 'etc/', type: 'directory', mode: 0o755, mtime });
  tar.entry({ name: `etc/layer${n}/`, type: 'directory', mode: 0o755, mtime });
  for (let i = 0; i < 3; i++)
    tar.entry({ name: `etc/layer${n}/${i}`, mode: 0o644, mtime }, `file ${i} of layer ${n}\n`);
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}
