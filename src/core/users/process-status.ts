/** This process as proc_pid_status(5) describes it. */
import type { Call } from '../ports/call.ts';
import type { FileSystem } from '../ports/file-system.ts';

export const STATUS_FILE = '/proc/self/status';
const MAX_STATUS_BYTES = 1 << 16;

/** `undefined`: the kernel (or a sandbox that stands for one) has no such line. */
export interface ProcessStatus {
  readonly effectiveGid: number | undefined;
  /** The owner of new files. */
  readonly fileUid: number | undefined;
  readonly fileGid: number | undefined;
  readonly umask: number | undefined;
  /** A bit for each capability that is in effect (capabilities(7)). */
  readonly capabilities: bigint | undefined;
}

export function parseProcessStatus(text: string): ProcessStatus {
  const line = (name: string): string | undefined => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(text)?.[1];
  // Real, effective, saved and file system ids.
  const [, , , fileUid] = idsOf(line('Uid'));
  const [, effectiveGid, , fileGid] = idsOf(line('Gid'));
  const umask = line('Umask');
  const capabilities = line('CapEff');
  return {
    effectiveGid,
    fileUid,
    fileGid,
    umask: umask !== undefined && /^[0-7]+$/.test(umask) ? Number.parseInt(umask, 8) : undefined,
    capabilities:
      capabilities !== undefined && /^[0-9a-f]+$/.test(capabilities)
        ? BigInt(`0x${capabilities}`)
        : undefined,
  };
}

function idsOf(line: string | undefined): number[] {
  return line !== undefined && /^\d+(?:\s+\d+){3}$/.test(line) ? line.split(/\s+/).map(Number) : [];
}

/** `undefined` where /proc cannot be read. */
export async function readProcessStatus(fs: FileSystem, call?: Call): Promise<ProcessStatus | undefined> {
  try {
    return parseProcessStatus(
      new TextDecoder().decode(await fs.readFile(STATUS_FILE, MAX_STATUS_BYTES, call)),
    );
  } catch {
    call?.signal?.throwIfAborted();
    return undefined;
  }
}
