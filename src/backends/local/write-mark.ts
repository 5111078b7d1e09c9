import type { HeldDir } from '../../core/layers/workers.ts';
import type { Syscalls } from '../../core/ports/syscalls.ts';
import type { Runtime } from '../../core/runtime.ts';
import { bootId } from '../../core/snapshots/boot-id.ts';

/** The boot and the mount that snapshots are written under, and a descriptor that hears of their failed write-backs. */
export interface WriteMark {
  /** `<boot> <unique mount id>`; where either is not known, `<boot> <owner>`, which ends with the owner. */
  readonly text: string;
  /** Undefined where descriptors cannot be synced (no FFI). */
  readonly held: HeldDir | undefined;
  close(): void;
}

/** Opens the directory of the snapshots: to be called before anything is written below it. */
export async function openWriteMark(runtime: Runtime, path: string, owner: string): Promise<WriteMark> {
  const boot = await bootId(runtime.fs);
  const sys = await runtime.syscalls();
  const dir = sys.openRoot(path);
  try {
    const mount = boot === '' ? '' : sys.mountId(dir);
    return {
      text: `${boot} ${mount === '' ? owner : mount}`,
      held: sys.provider === 'ffi' ? { path, fd: dir.fd } : undefined,
      close: () => sys.closeDir(dir),
    };
  } catch (err) {
    sys.closeDir(dir);
    throw err;
  }
}

/** False when another file system is mounted at the path than the mark was opened on. True where mount ids are not known. */
export function isSameMount(sys: Syscalls, { held }: WriteMark): boolean {
  if (held === undefined) return true;
  const now = sys.openRoot(held.path);
  try {
    return sys.mountId(now) === sys.mountId(held);
  } finally {
    sys.closeDir(now);
  }
}

/** Whether a mark was made under another boot than this one. Unknown boots are the same. */
export function isOtherBoot(mark: string, boot: string): boolean {
  const [made = ''] = mark.split(' ');
  return made !== '' && boot !== '' && made !== boot;
}
