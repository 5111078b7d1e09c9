/** What Deno allows, asked without its user: on a terminal Deno prompts for what it was not told to allow. All is allowed on Node. */
import { statSync } from 'node:fs';
import process from 'node:process';
import { HawserError } from '../../core/errors.ts';

type Query =
  | { readonly name: 'read' | 'write' | 'ffi'; readonly path?: string }
  | { readonly name: 'run'; readonly command: string }
  | { readonly name: 'net'; readonly host: string }
  | { readonly name: 'env'; readonly variable?: string }
  | { readonly name: 'sys'; readonly kind: string };

interface DenoPermissions {
  readonly permissions: { querySync(what: Query): { readonly state: string } };
}

export function isGranted(what: Query): boolean {
  const { Deno } = globalThis as { Deno?: DenoPermissions };
  return Deno === undefined || Deno.permissions.querySync(what).state === 'granted';
}

/** PermissionDenied, with Deno's flag, where it is not granted. */
export function requireGranted(what: Query, doing: string): void {
  if (!isGranted(what)) throw notGranted(what, doing);
}

/** As when the system refuses: for what callers tell by the errno EACCES. */
export function notGranted(what: Query, doing: string): HawserError {
  const flag = flagOf(what);
  return new HawserError('PermissionDenied', `${doing}: Deno does not allow that without ${flag}`, {
    hint: `Run Deno with ${flag}`,
    reason: { type: 'errno', errno: 'EACCES', sandbox: true },
  });
}

function flagOf(what: Query): string {
  const scope = scopeOf(what);
  return scope === undefined ? `--allow-${what.name}` : `--allow-${what.name}=${scope}`;
}

function scopeOf(what: Query): string | undefined {
  switch (what.name) {
    case 'read':
    case 'write':
    case 'ffi':
      return what.path;
    case 'run':
      return what.command.replace(/^.*\//, '');
    case 'net':
      return what.host;
    case 'env':
      return what.variable;
    case 'sys':
      return what.kind;
  }
}

/** This process's user; `undefined` where Deno may not tell (--allow-sys=uid). */
export function ownUid(): number | undefined {
  return isGranted({ name: 'sys', kind: 'uid' }) ? process.getuid?.() : undefined;
}

/** Whether a file may be read; not given, every file. */
export function mayRead(path?: string): boolean {
  return isGranted({ name: 'read', ...(path === undefined ? {} : { path }) });
}

/**
 * Whether Deno was started with --allow-all. Only then Deno (2.9.6) gives paths below /proc, whatever its permissions say, and lets
 * SQLite take URLs.
 */
export function mayDoAll(): boolean {
  const probe = '/proc/self/fd';
  if (!('Deno' in globalThis)) return true;
  if (!mayRead(probe)) return false;
  try {
    statSync(probe);
    return true;
  } catch (err) {
    return (err as { name?: unknown }).name !== 'NotCapable';
  }
}
