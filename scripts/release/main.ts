/**
 * npm run release: builds everything and makes dist/release/: the executables (gzip), hawser.mjs, the npm package, the image
 * of hawser itself, install.sh, the manual page and completions, THIRD-PARTY-NOTICES.txt, an SBOM, the code caches (HAWSER_CODE_CACHES gives the same bytes
 * again), SHA256SUMS.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { gzipSync } from 'node:zlib';
import { CACHES } from '../loaders.ts';
import { hasCompiler } from '../static/link.ts';
import { MACHINES } from '../static/machine.ts';
import { nodeForArm64 } from './node-there.ts';
import { notices, sbom } from './notices.ts';
import { writeImage } from './oci-image.ts';

const root: string = join(import.meta.dirname, '../..');
const dist: string = join(root, 'dist');
const release: string = join(dist, 'release');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

function build(): void {
  const missing = Object.values(MACHINES).filter((machine) => !hasCompiler(machine));
  if (missing.length > 0)
    throw new Error(
      `A release needs the compilers ${missing.map(({ debianPackage }) => debianPackage).join(', ')}`,
    );
  const node = nodeForArm64(join(root, 'build/node-arm64'));
  execFileSync(process.execPath, [join(root, 'scripts/build.ts'), '--arm64', node], { stdio: 'inherit' });
}

/** gzip writes no time and no name here: equal input, equal bytes. */
function compress(name: string): void {
  writeFileSync(join(release, `${name}.gz`), gzipSync(readFileSync(join(dist, name)), { level: 9 }));
}

function sums(): void {
  const names = readdirSync(release)
    .filter((name) => statSync(join(release, name)).isFile())
    .sort();
  const lines = names.map((name) => {
    const sum = createHash('sha256')
      .update(readFileSync(join(release, name)))
      .digest('hex');
    return `${sum}  ${name}\n`;
  });
  writeFileSync(join(release, 'SHA256SUMS'), lines.join(''));
}

build();
rmSync(release, { recursive: true, force: true });
mkdirSync(release, { recursive: true });
for (const name of ['hawser-linux-x64', 'hawser-linux-arm64']) compress(name);
copyFileSync(join(dist, 'hawser.mjs'), join(release, 'hawser.mjs'));
cpSync(join(dist, 'shell'), release, { recursive: true });
copyFileSync(join(root, 'scripts/release/install.sh'), join(release, 'install.sh'));
execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', release], {
  cwd: root,
  stdio: ['ignore', 'ignore', 'inherit'],
});
const programs = [
  { architecture: 'amd64', path: join(dist, 'hawser-linux-x64') },
  { architecture: 'arm64', path: join(dist, 'hawser-linux-arm64') },
];
await writeImage(
  programs,
  version,
  join(release, `hawser-${version}-oci.tar`),
  join(root, 'build/oci-image'),
);
writeFileSync(join(release, 'THIRD-PARTY-NOTICES.txt'), notices(root));
writeFileSync(join(release, 'sbom.cdx.json'), sbom(root));
for (const name of CACHES)
  if (existsSync(join(root, 'build', name)))
    copyFileSync(join(root, 'build', name), join(release, `code-cache-${name}`));
sums();
for (const name of readdirSync(release)) {
  console.log(`dist/release/${name}  ${(statSync(join(release, name)).size / 1e6).toFixed(1)} MB`);
}
