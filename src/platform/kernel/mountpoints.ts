import fs from 'node:fs';
import type { Call } from '../../core/ports/call.ts';
import type { Mounter, MountPoint } from '../../core/ports/mounter.ts';
import { requireGranted } from './deno-permission.ts';
import { fsError } from './fs-error.ts';
import { parseMountLines, pointsBelow } from './mountinfo.ts';

const MOUNTINFO = '/proc/self/mountinfo';

/** What is mounted where, of this process's mount namespace: the same for both providers. */
export const mountTable: Pick<Mounter, 'mountpoints' | 'mounts' | 'stack'> = {
  async mounts(call) {
    call?.signal?.throwIfAborted();
    const doing = 'listing all mounts';
    requireGranted({ name: 'read', path: MOUNTINFO }, doing);
    try {
      return await readLines();
    } catch (err) {
      throw fsError(err, doing);
    }
  },
  async mountpoints(path, call) {
    const given = path.replace(/\/+$/, '') || '/';
    const { real, lines } = await look(given, call);
    const points = lines.map(({ point }) => point);
    return real === undefined ? [] : pointsBelow(points, real, given);
  },
  async stack(target, call) {
    const { real, lines } = await look(target.replace(/\/+$/, '') || '/', call);
    return lines.filter(({ point }) => point === real);
  },
};

/** `real`: the path without symlinks; undefined when there is nothing. */
async function look(path: string, call?: Call): Promise<{ real: string | undefined; lines: MountPoint[] }> {
  call?.signal?.throwIfAborted();
  const doing = `listing the mount points at ${JSON.stringify(path)}`;
  for (const one of [path, MOUNTINFO]) requireGranted({ name: 'read', path: one }, doing);
  try {
    const real = await fs.promises.realpath(path).catch((err: { code?: unknown }) => {
      if (err.code === 'ENOENT') return undefined;
      throw err;
    });
    if (real === undefined) return { real, lines: [] };
    return { real, lines: await readLines() };
  } catch (err) {
    throw fsError(err, doing);
  }
}

async function readLines(): Promise<MountPoint[]> {
  return parseMountLines(await fs.promises.readFile(MOUNTINFO, 'utf8'));
}
