import type { Call } from '../../core/ports/call.ts';
import type { Runtime } from '../../core/runtime.ts';

const MOUNTS = '/proc/self/mountinfo';
/** Bytes. */
const MAX_MOUNTS = 1 << 26;

/** Where the directory `path` (relative to `root`) is shown by a mount; undefined where the mounts cannot be read. */
export async function shownAt(
  runtime: Pick<Runtime, 'fs'>,
  root: string,
  path: string,
  call?: Call,
): Promise<string | undefined> {
  return (await mountLines(runtime, call))?.find((line) => isShown(line, root, path))?.at;
}

/**
 * Those of the directories below `root` (given relative to it) that no mount shows. A snapshot directory without a record may be
 * a user's writable mount, whose record went with a database that was moved away. Where the mounts cannot be read: none.
 */
export async function notMounted(
  runtime: Pick<Runtime, 'fs'>,
  root: string,
  paths: readonly string[],
  call?: Call,
): Promise<readonly string[]> {
  if (paths.length === 0) return paths;
  const lines = await mountLines(runtime, call);
  return lines === undefined ? [] : paths.filter((path) => !lines.some((line) => isShown(line, root, path)));
}

async function mountLines({ fs }: Pick<Runtime, 'fs'>, call?: Call): Promise<MountLine[] | undefined> {
  try {
    const text = new TextDecoder().decode(await fs.readFile(MOUNTS, MAX_MOUNTS, call));
    return text.split('\n').map(parseLine);
  } catch {
    call?.signal?.throwIfAborted();
    return undefined;
  }
}

interface MountLine {
  /** The mount point, written as the kernel does. */
  readonly at: string;
  /** The mounted directory of the file system. */
  readonly root: string;
  /** Type, source and options. */
  readonly rest: string;
}

/** proc_pid_mountinfo(5) */
function parseLine(line: string): MountLine {
  const [left = '', rest = ''] = line.split(' - ', 2);
  const [, , , root = '', at = ''] = left.split(' ');
  return { root, at, rest };
}

/** Overlayfs shows directories as they were given; a bind mount the path within its file system, an end of the whole path. */
function isShown(line: MountLine, root: string, path: string): boolean {
  const whole = inMountinfo(`${root}/${path}`);
  if (includesPath(line.rest, whole)) return true;
  const end = inMountinfo(path);
  const at = `${line.root}/`.indexOf(`/${end}/`);
  return at >= 0 && whole.endsWith(`${line.root.slice(0, at)}/${end}`);
}

function includesPath(text: string, path: string): boolean {
  for (let at = text.indexOf(path); at >= 0; at = text.indexOf(path, at + 1)) {
    if (/^(?:[\s/,:]|$)/.test(text.slice(at + path.length, at + path.length + 1))) return true;
  }
  return false;
}

/** The kernel writes white space, # and backslashes in octal. */
function inMountinfo(path: string): string {
  return path.replace(/[ \t\n\\#]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
