import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { isGranted } from '../kernel/deno-permission.ts';

/** Where distributions keep all roots in one file (Go's list): Debian and Alpine, Fedora, SUSE, RHEL, others. */
const BUNDLES: readonly string[] = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/ssl/cert.pem',
];
/** Where there is no such file: one root a file. */
const DIRECTORIES: readonly string[] = ['/etc/ssl/certs', '/etc/pki/tls/certs'];

/**
 * PEM texts of the operating system's trust store; none where there is none, or hawser may not read it. On Linux the files are read
 * here: OpenSSL knows the paths of the distribution that it was built for, and prints a warning where they are missing.
 */
export function systemRoots(): readonly string[] {
  return process.platform === 'linux' ? linuxRoots() : builtInRoots();
}

function linuxRoots(): readonly string[] {
  for (const path of BUNDLES) {
    const text = readText(path);
    if (text !== undefined) return [text];
  }
  const files = DIRECTORIES.flatMap((dir) => namesIn(dir).map((name) => readText(`${dir}/${name}`) ?? ''));
  const roots = [...new Set(files)].filter((text) => text.includes('-----BEGIN CERTIFICATE-----'));
  // Deno may not be allowed to read these files, and has the roots of the machine all the same.
  return roots.length > 0 || !isDeno() ? roots : builtInRoots();
}

function readText(path: string): string | undefined {
  try {
    return isGranted({ name: 'read', path }) ? readFileSync(path, 'utf8') : undefined;
  } catch {
    return undefined;
  }
}

function namesIn(path: string): readonly string[] {
  try {
    return isGranted({ name: 'read', path }) ? readdirSync(path) : [];
  } catch {
    return [];
  }
}

function builtInRoots(): readonly string[] {
  try {
    const tls = process.getBuiltinModule('node:tls');
    return isGranted({ name: 'sys', kind: 'ca' }) ? (tls.getCACertificates?.('system') ?? []) : [];
  } catch {
    return [];
  }
}

/** Whether NODE_EXTRA_CA_CERTS adds to the runtime's default store; true where that cannot be known. */
export function hasExtraRoots(): boolean {
  const variable = 'NODE_EXTRA_CA_CERTS';
  return isGranted({ name: 'env', variable }) ? (process.env[variable] ?? '') !== '' : true;
}

function isDeno(): boolean {
  return 'Deno' in globalThis;
}
