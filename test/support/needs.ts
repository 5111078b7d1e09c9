/** What a test needs of the machine. Absent: the test is skipped with the reason, but under CI=true it fails. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { hasFfi } from './ffi.ts';

export interface Needs {
  readonly root?: boolean;
  readonly tools?: readonly string[];
  readonly runtime?: 'node' | 'deno';
}

export const isDeno: boolean = 'Deno' in globalThis;

export function findTool(name: string): string | undefined {
  const dirs = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin'];
  for (const dir of dirs) {
    try {
      const path = join(dir, name);
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  return undefined;
}

/** For `test(name, { skip: needs({...}) }, body)`. */
export function needs(what: Needs): string | false {
  if (what.runtime === 'node' && isDeno) return 'runs on Node only';
  if (what.runtime === 'deno' && !isDeno) return 'runs on Deno only';
  const missing: string[] = [];
  if (what.root === true && process.getuid?.() !== 0) missing.push('root');
  // Root is needed to unpack: without FFI that takes the tools of the package attr, too.
  const unpacking = what.root === true && !hasFfi() ? ['getfattr', 'setfattr'] : [];
  for (const tool of new Set([...(what.tools ?? []), ...unpacking]))
    if (findTool(tool) === undefined) missing.push(`the tool ${tool}`);
  if (missing.length === 0) return false;
  if (process.env.CI === 'true')
    throw new Error(`Under CI this test must run, but it lacks ${missing.join(', ')}`);
  return `needs ${missing.join(', ')}`;
}

/** Under CI, what scripts/ci-peers.sh makes has to be there, unless .ci/run could not make it and said so. */
export function requirePeer(name: string): void {
  if (process.env.CI === 'true' && process.env.HAWSER_WITHOUT !== 'peers')
    throw new Error(`Under CI this test must run, but it lacks ${name}: scripts/ci-peers.sh`);
}
