/** Which snapshot directories mounts show: those of this process's mount namespace, as others cannot be seen. */
import { HawserError, messageOf } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { MountPoint } from '../../core/ports/mounter.ts';
import type { Runtime } from '../../core/runtime.ts';
import { isNameless, overlayPaths } from '../../core/snapshots/overlay-paths.ts';
import { inodeAt } from '../../core/trees/identity.ts';

type Parts = Pick<Runtime, 'fs' | 'mounter' | 'syscalls'>;

interface Removal extends Call {
  /** What is being done to what, for the error. */
  readonly doing: string;
  /** Whether a user may have mounted the directory: FailedPrecondition where the mounts cannot be read. Else not shown there. */
  readonly mayBeMounted: boolean;
}

/** Where the directory `path` (relative to `root`: `snapshots/<name>/<id>`) is shown. */
export async function shownAt(
  runtime: Parts,
  root: string,
  path: string,
  { doing, mayBeMounted, ...call }: Removal,
): Promise<string | undefined> {
  const mounts = await readMounts(runtime, root, call);
  if (!('reason' in mounts)) return await mounts.showing(path);
  if (!mayBeMounted) return undefined;
  const why = 'a mount may show the directory, and the mounts cannot be read';
  throw new HawserError('FailedPrecondition', `${doing}: ${why} (${messageOf(mounts.reason)})`, {
    cause: mounts.reason,
    hint: 'Run hawser where /proc is mounted (Deno shows /proc with --allow-all only)',
  });
}

/**
 * Those of the directories (relative to `root`) that no mount shows. A snapshot directory without a record may be a user's
 * writable mount, whose record went with a database that was moved away. Where the mounts cannot be read: none. `unrecorded`: no
 * record knows these, so that one may be a layer that an overlay of many layers does not name.
 */
export async function notMounted(
  runtime: Parts,
  root: string,
  paths: readonly string[],
  unrecorded: ReadonlySet<string>,
  call?: Call,
): Promise<readonly string[]> {
  if (paths.length === 0) return paths;
  const mounts = await readMounts(runtime, root, call);
  if ('reason' in mounts) return [];
  const haveNameless = unrecorded.size > 0 && (await mounts.haveNameless());
  const free: string[] = [];
  for (const path of paths) {
    if (haveNameless && unrecorded.has(path)) continue;
    if ((await mounts.showing(path)) === undefined) free.push(path);
  }
  return free;
}

/** Or why the mounts cannot be read. */
async function readMounts(runtime: Parts, root: string, call?: Call): Promise<Mounts | { reason: unknown }> {
  try {
    return new Mounts(runtime, root, await (await runtime.mounter()).mounts(call));
  } catch (reason) {
    call?.signal?.throwIfAborted();
    return { reason };
  }
}

/** A mount that names a directory like a snapshot's, by whatever path: of this store, or of another. */
interface Candidate {
  readonly point: string;
  /** What is shown, where it can be looked at, and the same in this store if the mount is of this store. */
  readonly shown: string;
  readonly below: string;
  /** Taken for one of this store where one of the two cannot be looked at. */
  readonly likely: boolean;
}

/** For each mount whether a later one is at its point or above. */
function coveredOf(mounts: readonly MountPoint[]): readonly boolean[] {
  const later = new Set<string>();
  return mounts
    .toReversed()
    .map(({ point }) => {
      const covered = isAtOrBelow(point, later);
      later.add(point);
      return covered;
    })
    .reverse();
}

function isAtOrBelow(path: string, points: ReadonlySet<string>): boolean {
  for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
    if (points.has(path.slice(0, end))) return true;
  }
  return false;
}

/** The end of a path that leads to a snapshot's directory, or below. */
const SNAPSHOT = /^(.*\/snapshots)\/([^/]+)\/([1-9][0-9]*)(\/.*)?$/s;

class Mounts {
  readonly #runtime: Parts;
  readonly #root: string;
  /** By `<name>/<id>`; `/<id>` where the name is not known. */
  readonly #candidates = new Map<string, Candidate[]>();
  /** Directories of all snapshots of the stores that overlays with nameless layers are of. */
  readonly #nameless = new Set<string>();

  constructor(runtime: Parts, root: string, mounts: readonly MountPoint[]) {
    this.#runtime = runtime;
    this.#root = root;
    const isCovered = coveredOf(mounts);
    for (const [at, mount] of mounts.entries()) {
      if (mount.type === 'overlay') this.#addOverlay(mount);
      this.#addBind(mount, isCovered[at] === true);
    }
  }

  #add(key: string, candidate: Candidate): void {
    const known = this.#candidates.get(key);
    if (known === undefined) this.#candidates.set(key, [candidate]);
    else known.push(candidate);
  }

  /** Overlayfs shows the directories as they were given: their paths may lead through symlinks. */
  #addOverlay({ point, source, options }: MountPoint): void {
    const paths = overlayPaths(options, 'lowerdir', 'lowerdir+', 'upperdir', 'workdir');
    const hasNameless = paths.some(isNameless);
    for (const path of [...paths, source]) {
      const [, snapshots, name, id] = SNAPSHOT.exec(path) ?? [];
      if (snapshots === undefined) continue;
      if (hasNameless) this.#nameless.add(snapshots);
      this.#add(`${name}/${id}`, { point, shown: `${snapshots}/${name}/${id}`, below: '', likely: true });
    }
  }

  /** A bind mount shows a path within its file system, whose beginning tells nothing: only the directory at the mount point does. */
  #addBind({ point, root }: MountPoint, isCovered: boolean): void {
    const parts = root
      .replace(/\/\/deleted$/, '')
      .split('/')
      .slice(1);
    for (const [at, id] of parts.entries()) {
      if (!/^[1-9][0-9]*$/.test(id)) continue;
      const below = parts
        .slice(at + 1)
        .map((part) => `/${part}`)
        .join('');
      const likely = parts[at - 2] === 'snapshots';
      // Under a later mount it cannot be looked at.
      this.#add(`${parts[at - 1] ?? ''}/${id}`, { point, shown: isCovered ? '' : point, below, likely });
    }
  }

  /** Where the directory is shown. */
  async showing(path: string): Promise<string | undefined> {
    const [, name = '', id = ''] = path.split('/');
    for (const key of [`${name}/${id}`, `/${id}`]) {
      for (const candidate of this.#candidates.get(key) ?? []) {
        if (await this.#isOurs(candidate, `${this.#root}/${path}${candidate.below}`)) return candidate.point;
      }
    }
    return undefined;
  }

  async #isOurs({ shown, likely }: Candidate, ours: string): Promise<boolean> {
    if (shown === ours) return true;
    const sys = await this.#runtime.syscalls();
    const [there, here] = [shown === '' ? undefined : await inodeAt(sys, shown), await inodeAt(sys, ours)];
    if (there !== undefined && here !== undefined) return there === here;
    return likely && !(await this.#isAbsent(ours)) && (shown === '' || (await this.#isAbsent(shown)));
  }

  /** False where this process may not look: then it is another user's. */
  async #isAbsent(path: string): Promise<boolean> {
    try {
      return (await this.#runtime.fs.stat(path)) === undefined;
    } catch {
      return false;
    }
  }

  /** Whether an overlay shows layers of this store and does not tell which. */
  async haveNameless(): Promise<boolean> {
    for (const snapshots of this.#nameless) {
      if (
        await this.#isOurs(
          { point: '', shown: snapshots, below: '', likely: true },
          `${this.#root}/snapshots`,
        )
      )
        return true;
    }
    return false;
  }
}
