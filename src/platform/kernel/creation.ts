import { readFileSync } from 'node:fs';
import type { Creation } from '../../core/ports/syscalls.ts';
import { parseProcessStatus, STATUS_FILE } from '../../core/users/process-status.ts';
import { mayRead } from './deno-permission.ts';

/** The owner and umask of what this process makes. `undefined` where /proc cannot be read. */
export function readCreation(): Creation | undefined {
  if (!mayRead(STATUS_FILE)) return undefined;
  let text: string;
  try {
    text = readFileSync(STATUS_FILE, 'latin1');
  } catch {
    return undefined;
  }
  const { fileUid: uid, fileGid: gid, umask } = parseProcessStatus(text);
  return uid === undefined || gid === undefined || umask === undefined ? undefined : { uid, gid, umask };
}
