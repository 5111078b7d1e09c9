/**
 * npm start: a registry on loopback with a sample image (three layers, two platforms, a whiteout), pulled by hawser into a
 * store below build/demo, and what came of it. As root the layers become overlay snapshots and the image is mounted;
 * otherwise its content is fetched. The registry is the tests' (test/registry/main.ts serves it with any faults): here it
 * breaks the largest layer off once.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { main } from '../src/cli/main.ts';
import { defaultRuntime } from '../src/entry/library.ts';
import { quietWarnings } from '../src/platform/node/quiet-warnings.ts';
import { buildImage, buildIndex, noise, type TestImage } from '../test/registry/image.ts';
import { startRegistry } from '../test/registry/registry.ts';

const demo: string = join(import.meta.dirname, '../build/demo');
const time: Date = new Date('2026-01-01T00:00:00Z');

async function sample(architecture: string): Promise<TestImage> {
  const file = (name: string, data: string | Uint8Array, mode = 0o644) => ({ name, data, mode, mtime: time });
  const dir = (name: string) => ({ name, type: 'directory' as const, mode: 0o755, mtime: time });
  return await buildImage({
    platform: { os: 'linux', architecture },
    layers: [
      {
        entries: [
          dir('etc/'),
          file('etc/motd', 'Hello from the first layer\n'),
          file('etc/old.conf', 'removed by the second layer\n'),
          dir('usr/'),
          dir('usr/bin/'),
          file('usr/bin/hello', '#!/bin/sh\necho hello\n', 0o755),
        ],
      },
      {
        compression: 'zstd',
        entries: [file('etc/.wh.old.conf', ''), file('etc/new.conf', 'added by the second layer\n')],
      },
      {
        entries: [
          dir('data/'),
          file('data/noise.bin', noise(3 << 20)),
          { name: 'data/link', type: 'symlink', linkname: 'noise.bin' },
        ],
      },
    ],
  });
}

/** Runs a command the way the user would, shown first. */
async function hawser(...args: string[]): Promise<void> {
  console.log(`\n$ hawser ${args.join(' ')}`);
  const code = await main(await defaultRuntime(), ['--root', join(demo, 'store'), ...args]);
  if (code !== 0) throw new Error(`hawser ${args[0]} ended with ${code}`);
}

/** The merged tree, by the system's own tools. */
async function showMounted(reference: string): Promise<void> {
  const target = join(demo, 'mnt');
  mkdirSync(target, { recursive: true });
  await hawser('images', 'mount', reference, target);
  try {
    console.log(`\n$ ls -lR ${target}`);
    console.log(execFileSync('ls', ['-lR', target], { encoding: 'utf8' }).replaceAll(target, ''));
  } finally {
    await hawser('images', 'unmount', '--rm', target);
  }
}

quietWarnings();
rmSync(demo, { recursive: true, force: true });
mkdirSync(demo, { recursive: true });
const registry = await startRegistry({ faults: [{ match: '/blobs/', cutAfter: 1 << 20, times: 1 }] });
try {
  registry.push('demo/sample', 'latest', buildIndex([await sample('amd64'), await sample('arm64')]));
  const reference = `${registry.host}/demo/sample:latest`;
  console.log(
    `A registry with a sample image listens on ${registry.url}; the store is ${join(demo, 'store')}`,
  );
  const root = process.getuid?.() === 0;
  await hawser(...(root ? ['pull'] : ['content', 'fetch']), reference);
  const { requests, bytes } = registry.traffic('/blobs/');
  console.log(
    `\nThe registry broke a layer off after 1 MiB; it sent ${bytes} bytes of blobs in ${requests} requests.`,
  );
  await hawser('images', 'ls');
  await hawser('content', 'ls');
  if (root) {
    await hawser('snapshots', 'tree');
    await showMounted(reference);
  } else {
    console.log('\nNot root: the content was fetched and verified, but overlay snapshots need root.');
  }
  console.log(`\nThat was a sample. A real one: npm start -- pull REF  (store: /var/lib/hawser as root)`);
} finally {
  await registry[Symbol.asyncDispose]();
}
process.exit(0);
