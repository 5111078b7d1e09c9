import fs from 'node:fs';
import type { Call } from '../../core/ports/call.ts';
import { fsError } from './fs-error.ts';
import { parseMountinfo, pointsBelow } from './mountinfo.ts';

/** Mounter.mountpoints: for both providers. Of a path that leads through symlinks too; absent: none. */
export async function mountpoints(path: string, call?: Call): Promise<string[]> {
  call?.signal?.throwIfAborted();
  const given = path.replace(/\/+$/, '') || '/';
  try {
    const real = await fs.promises.realpath(given).catch((err: { code?: unknown }) => {
      if (err.code === 'ENOENT') return undefined;
      throw err;
    });
    if (real === undefined) return [];
    return pointsBelow(
      parseMountinfo(await fs.promises.readFile('/proc/self/mountinfo', 'utf8')),
      real,
      given,
    );
  } catch (err) {
    throw fsError(err, `listing the mount points at ${JSON.stringify(path)}`);
  }
}
