import { orAborted } from '../../core/async/abort.ts';
import type { Labels } from '../../core/content/content-store.ts';
import { HawserError, ifFound } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { FileSystem } from '../../core/ports/file-system.ts';
import { bootId } from '../../core/snapshots/boot-id.ts';
import type { SnapshotInfo, Snapshotter } from '../../core/snapshots/snapshotter.ts';

/** On a snapshot that was committed and is not durable yet: the boot, and a directory of its file system. */
const LABEL = 'hawser/unsynced';

/** What is asked of a snapshotter here. */
export interface MarkedSnapshots extends Pick<Snapshotter, 'name' | 'list' | 'label' | 'remove'> {
  /** Those that have the label. */
  listLabelled(label: string, call?: Call): Promise<SnapshotInfo[]>;
  /** The command by which a user removes one. */
  removalOf(name: string): string;
}

/**
 * Marks of the snapshots whose files are not on the disk yet, kept in containerd, where they outlive this process and the machine's
 * boot. Files of a mark of another boot may be lost: such a snapshot, and all above it, counts as absent, and makes way when its
 * layer is unpacked again.
 */
export class Unsynced {
  readonly #fs: Pick<FileSystem, 'readFile'>;
  #boot: string | undefined;
  /** By snapshotter: names of snapshots that may lack files. */
  readonly #lost = new Map<string, Promise<Set<string>>>();

  constructor(fs: Pick<FileSystem, 'readFile'>) {
    this.#fs = fs;
  }

  /** The labels of a snapshot that is committed now. `dir`: of its file system. */
  async mark(dir: string | undefined, call: Call): Promise<Labels> {
    const boot = await this.#bootId(call);
    return boot === '' || dir === undefined ? {} : { [LABEL]: `${boot} ${dir}` };
  }

  /** Removes the mark. */
  async clear(snapshotter: MarkedSnapshots, name: string, call: Call): Promise<void> {
    await ifFound(snapshotter.label(name, { [LABEL]: '' }, call));
  }

  /** The directory of a mark; undefined without one. */
  directoryOf({ labels }: SnapshotInfo): string | undefined {
    return labels[LABEL]?.split(' ').slice(1).join(' ');
  }

  /** Whether a committed snapshot may lack files. */
  async isLost(snapshotter: MarkedSnapshots, name: string, call: Call): Promise<boolean> {
    return (await this.#lostOf(snapshotter, call)).has(name);
  }

  /**
   * Removes a snapshot that may lack files, and those above it. FailedPrecondition, and nothing is removed, when something is above
   * that hawser did not make.
   */
  async drop(snapshotter: MarkedSnapshots, name: string, call: Call): Promise<void> {
    const all = await snapshotter.list(call);
    const above = withThoseAbove(all, new Set([name]));
    const doomed = all.filter((info) => above.has(info.name));
    const other = doomed.find((info) => info.kind !== 'Committed' || info.labels[LABEL] === undefined);
    if (other !== undefined) {
      throw new HawserError(
        'FailedPrecondition',
        `Cannot unpack over ${name}: it may lack files since the machine went down, and ${other.name} uses it`,
        { hint: `Remove what uses it first: ${snapshotter.removalOf(other.name)}` },
      );
    }
    const lost = await this.#lostOf(snapshotter, call);
    for (const one of childrenFirst(doomed)) {
      await ifFound(snapshotter.remove(one, call));
      lost.delete(one);
    }
  }

  /** Found once for all callers: so without the signal of one. */
  async #lostOf(snapshotter: MarkedSnapshots, { signal }: Call): Promise<Set<string>> {
    const { name } = snapshotter;
    const known = this.#lost.get(name) ?? this.#find(snapshotter);
    this.#lost.set(name, known);
    known.catch(() => this.#lost.delete(name));
    return await orAborted(known, signal);
  }

  async #find(snapshotter: MarkedSnapshots): Promise<Set<string>> {
    const boot = await this.#bootId({});
    const marked = boot === '' ? [] : await snapshotter.listLabelled(LABEL);
    const lost = marked.filter(({ labels }) => labels[LABEL]?.split(' ')[0] !== boot).map(({ name }) => name);
    return lost.length === 0 ? new Set() : withThoseAbove(await snapshotter.list(), new Set(lost));
  }

  async #bootId(call: Call): Promise<string> {
    this.#boot ??= await bootId(this.#fs, call);
    return this.#boot;
  }
}

/** The names, and those of all snapshots above them. */
function withThoseAbove(all: readonly SnapshotInfo[], names: ReadonlySet<string>): Set<string> {
  const found = new Set(names);
  for (let size = -1; size !== found.size; ) {
    size = found.size;
    for (const { name, parent } of all) if (found.has(parent)) found.add(name);
  }
  return found;
}

function childrenFirst(infos: readonly SnapshotInfo[]): string[] {
  const depth = new Map<string, number>();
  const parents = new Map(infos.map(({ name, parent }) => [name, parent]));
  const depthOf = (name: string): number => {
    const parent = parents.get(name);
    if (parent === undefined) return 0;
    const known = depth.get(name) ?? depthOf(parent) + 1;
    depth.set(name, known);
    return known;
  };
  return [...parents.keys()].sort((a, b) => depthOf(b) - depthOf(a));
}
