import type { Call } from '../ports/call.ts';
import type { FileSystem } from '../ports/file-system.ts';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** Which boot of the machine this is: what was written under another one may not have reached the disk. '' where that is not known. */
export async function bootId(fs: Pick<FileSystem, 'readFile'>, call?: Call): Promise<string> {
  try {
    return new TextDecoder().decode(await fs.readFile(BOOT_ID, 4096, call)).trim();
  } catch {
    call?.signal?.throwIfAborted();
    return '';
  }
}
