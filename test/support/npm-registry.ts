/** An npm registry on loopback: a packed package, and what it depends on, out of node_modules. No network, no npm account. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { execOk } from './exec.ts';
import { repository } from './runtimes.ts';

/** As npm has it in a package.json; the rest goes through as it is. */
interface Manifest {
  readonly name: string;
  readonly version: string;
}

interface Version {
  readonly manifest: Manifest;
  readonly tarball: Buffer;
}

export interface NpmRegistry extends AsyncDisposable {
  readonly url: string;
}

/** `packed`: what `npm pack` made. `dir`: for the tarballs of the others. */
export async function startNpmRegistry(packed: string, dir: string): Promise<NpmRegistry> {
  const text = (await execOk('tar', ['-xOzf', packed, 'package/package.json'])).stdout;
  const versions: Version[] = [{ manifest: JSON.parse(text), tarball: readFileSync(packed) }];
  for (const path of dependencies())
    versions.push(await packInstalled(path, join(dir, `${versions.length}.tgz`)));
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '/').slice(1);
    const nth = /^tarballs\/(\d+)\.tgz$/.exec(path)?.[1];
    const body =
      nth === undefined
        ? document(path, versions, request.headers.host ?? '')
        : versions[Number(nth)]?.tarball;
    response.writeHead(body === undefined ? 404 : 200, {
      'content-type': nth === undefined ? 'application/json' : 'application/octet-stream',
    });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Where the packages are that are installed for use, not for development. */
function dependencies(): string[] {
  const { packages } = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, { readonly dev?: boolean }>>;
  };
  return Object.entries(packages).flatMap(([path, { dev }]) => (path === '' || dev === true ? [] : path));
}

async function packInstalled(path: string, tarball: string): Promise<Version> {
  const home = join(repository, path);
  await execOk('tar', [
    '-czf',
    tarball,
    '--exclude=./node_modules',
    '--transform=s,^\\.,package,',
    '-C',
    home,
    '.',
  ]);
  return {
    manifest: JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')),
    tarball: readFileSync(tarball),
  };
}

/** What a registry says of a package; undefined when there is none. */
function document(name: string, all: readonly Version[], host: string): string | undefined {
  const own = all.filter(({ manifest }) => manifest.name === name);
  const latest = own.at(-1)?.manifest.version;
  if (latest === undefined) return undefined;
  const versions = own.map((one): [string, unknown] => {
    const integrity = `sha512-${createHash('sha512').update(one.tarball).digest('base64')}`;
    const tarball = `http://${host}/tarballs/${all.indexOf(one)}.tgz`;
    return [one.manifest.version, { ...one.manifest, dist: { tarball, integrity } }];
  });
  return JSON.stringify({ name, 'dist-tags': { latest }, versions: Object.fromEntries(versions) });
}
