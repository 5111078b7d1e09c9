/** Keeps what is written for the user out of the store. */
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Syscalls } from '../ports/syscalls.ts';
import type { Runtime } from '../runtime.ts';
import { identityOf } from '../trees/identity.ts';

/** Directories above another that are looked at. */
const MAX_DEPTH = 4096;

export interface OutsideOptions extends Call {
  /** What fails, for the error: `Cannot unpack to /a`. */
  readonly doing: string;
  /** Directories that must not be replaced, nor be written into: the store. */
  readonly keepOut: readonly string[];
}

/**
 * FailedPrecondition when `path` (absolute) is in one of the directories, is one, or has one below: by names and, for a directory that has
 * several, by what they lead to.
 */
export async function requireOutside(
  runtime: Pick<Runtime, 'syscalls'>,
  path: string,
  { doing, keepOut, signal }: OutsideOptions,
): Promise<void> {
  if (keepOut.length === 0) return;
  signal?.throwIfAborted();
  const sys = await runtime.syscalls();
  const parent = path.slice(0, path.lastIndexOf('/'));
  const own = await identityOf(sys, path);
  const above = new Set([...(await upwards(sys, path)), ...(await upwards(sys, parent))]);
  for (const kept of keepOut) {
    // Where `..` leads is found by what the directories are.
    const isPlain = !path.split('/').includes('..');
    const named = isPlain && (isWithin(kept, path) || isWithin(path, kept));
    const led = async (): Promise<boolean> => {
      const [itself] = await upwards(sys, kept, 1);
      if (itself !== undefined && above.has(itself)) return true;
      return own !== undefined && (await upwards(sys, kept)).includes(own);
    };
    if (named || (await led())) {
      const hint = 'Choose a place outside the store';
      throw new HawserError('FailedPrecondition', `${doing}: the store is ${kept}`, { hint });
    }
  }
}

function isWithin(path: string, above: string): boolean {
  return path === above || path.startsWith(`${above}/`);
}

/** A directory itself and those above it, up to the root. */
async function upwards(sys: Syscalls, path: string, max: number = MAX_DEPTH): Promise<string[]> {
  const found: string[] = [];
  for (let at = path, depth = 0; depth < max; at = `${at}/..`, depth++) {
    const one = await identityOf(sys, at);
    if (one === undefined || one === found.at(-1)) break;
    found.push(one);
  }
  return found;
}
