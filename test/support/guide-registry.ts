/**
 * The registry of the guides, as a process: the images that README.md and docs/ name, whatever their registry is called. Takes what is
 * pushed; asks for no credentials. Arguments: certificate and key, and a file that is made when it listens.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { buildImage, buildIndex, noise, type TestImage, type TestLayer } from '../registry/image.ts';
import { startRegistry } from '../registry/registry.ts';
import { findTool } from './needs.ts';

/** Repositories, their tags. */
const IMAGES: Readonly<Record<string, readonly string[]>> = {
  'library/alpine': ['3.20', 'latest'],
  'library/busybox': ['1', '1.36'],
  'org/app': ['1.2', '1.3'],
  pause: ['3.10'],
  'team/app': ['1', '1.0'],
};

const TREE = ['bin/', 'dev/', 'etc/', 'proc/', 'root/', 'sys/', 'tmp/', 'usr/', 'usr/bin/'];
const APPLETS = ['sh', 'cat', 'echo', 'hostname', 'ls', 'sleep', 'true'];

function image(architecture: string, name: string): Promise<TestImage> {
  const busybox = { name: 'bin/busybox', data: readFileSync(findTool('busybox') ?? ''), mode: 0o755 };
  const system: TestLayer = {
    entries: [
      ...TREE.map((dir) => ({ name: dir, type: 'directory' as const, mode: 0o755 })),
      busybox,
      ...APPLETS.map((link) => ({ name: `bin/${link}`, type: 'symlink' as const, linkname: 'busybox' })),
    ],
  };
  const own = [
    { name: 'etc/os-release', data: `NAME="${name}"\n`, mode: 0o644 },
    { name: 'usr/bin/app', data: noise(100_000, name.length), mode: 0o755 },
  ];
  return buildImage({
    platform: { os: 'linux', architecture },
    layers: [system, { entries: own }],
    config: { config: { Cmd: ['/bin/cat', '/etc/os-release'], Env: ['PATH=/bin'] } },
  });
}

const [cert = '', key = '', ready = ''] = process.argv.slice(2);
const registry = await startRegistry({
  port: 443,
  tls: { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') },
  uploads: { subject: true },
  lists: { referrers: { filters: true } },
});
for (const [repository, tags] of Object.entries(IMAGES)) {
  const index = buildIndex([await image('amd64', repository), await image('arm64', repository)]);
  for (const tag of tags) registry.push(repository, tag, index);
}
writeFileSync(ready, '');
