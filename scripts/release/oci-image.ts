/** The image of hawser itself: the static executable and the roots that Node trusts, for each processor; an OCI layout in a tar. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { type Header, pack } from 'tar-stream';
import { addImage, addLayer, createLayout, type Described, INDEX } from '../fixtures/layout.ts';

/** All times in it: the same input gives the same bytes. */
const EPOCH = new Date(0);

export interface Program {
  /** In OCI's words: amd64, arm64. */
  readonly architecture: string;
  readonly path: string;
}

/** Writes `output`. `scratch`: a directory that is made and removed. */
export async function writeImage(
  programs: readonly Program[],
  version: string,
  output: string,
  scratch: string,
): Promise<void> {
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  const dir = join(scratch, 'layout');
  const layout = createLayout(dir);
  const images: Described[] = [];
  for (const { architecture, path } of programs) {
    const tar = join(scratch, 'layer.tar');
    writeFileSync(tar, await tarOf(layerFiles(path)));
    const config = {
      architecture,
      os: 'linux',
      created: EPOCH.toISOString(),
      config: {
        Entrypoint: ['/hawser'],
        Env: ['SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt'],
        Labels: { 'org.opencontainers.image.version': version },
      },
    };
    const image = addImage(layout, 'gzip', [addLayer(layout, tar, ['gzip'])], config);
    images.push({ ...image, platform: { os: 'linux', architecture } });
  }
  layout.name(version, layout.json(INDEX, { schemaVersion: 2, mediaType: INDEX, manifests: images }));
  layout.finish();
  writeFileSync(output, await tarOf(filesBelow(dir)));
  rmSync(scratch, { recursive: true });
}

type Entry = Partial<Header> & { readonly name: string } & { readonly data?: Buffer };

function layerFiles(program: string): Entry[] {
  const directory = (name: string, mode = 0o755): Entry => ({ name, type: 'directory', mode });
  return [
    { name: 'hawser', mode: 0o755, data: readFileSync(program) },
    ...['etc/', 'etc/ssl/', 'etc/ssl/certs/'].map((name) => directory(name)),
    {
      name: 'etc/ssl/certs/ca-certificates.crt',
      mode: 0o644,
      data: Buffer.from(`${rootCertificates.join('\n')}\n`),
    },
    directory('tmp/', 0o1777),
    directory('var/'),
    directory('var/lib/'),
  ];
}

function filesBelow(dir: string): Entry[] {
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort();
  return names
    .filter((name) => statSync(join(dir, name)).isFile())
    .map((name) => ({ name, mode: 0o644, data: readFileSync(join(dir, name)) }));
}

async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const tar = pack();
  for (const { data, ...header } of entries)
    tar.entry({ ...header, mtime: EPOCH, uid: 0, gid: 0 }, data ?? '');
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}
