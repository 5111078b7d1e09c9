/** What Deno allows, asked without its user: on a terminal Deno prompts for what it was not told to allow. All is allowed on Node. */
import { statSync } from 'node:fs';

interface Query {
  readonly name: 'read' | 'run';
  readonly path?: string;
  readonly command?: string;
}

interface DenoPermissions {
  readonly permissions: { querySync(what: Query): { readonly state: string } };
}

function isGranted(what: Query): boolean {
  const { Deno } = globalThis as { Deno?: DenoPermissions };
  return Deno === undefined || Deno.permissions.querySync(what).state === 'granted';
}

/** Whether a file may be read; not given, every file. */
export function mayRead(path?: string): boolean {
  return isGranted({ name: 'read', ...(path === undefined ? {} : { path }) });
}

/** Whether a program may be run; not given, every program. */
export function mayRun(command?: string): boolean {
  return isGranted({ name: 'run', ...(command === undefined ? {} : { command }) });
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
